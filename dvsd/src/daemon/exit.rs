// SPDX-License-Identifier: GPL-3.0-or-later
//! How the daemon ends when it cannot start: one line on stderr and an exit code per cause (`sysexits.h`).

use std::process::ExitCode;

use crate::systemd;

/// The store's file cannot be used (`EX_DATAERR`).
pub(crate) const STORE: u8 = 65;
/// The UDP port or the control directory cannot be had (`EX_UNAVAILABLE`).
pub(crate) const UNAVAILABLE: u8 = 69;
/// The system refuses something ordinary (`EX_OSERR`).
pub(crate) const SYSTEM: u8 = 71;
/// The identity cannot be used (`EX_NOPERM`).
pub(crate) const IDENTITY: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub(crate) const CONFIG: u8 = 78;

/// An error with the exit code it leads to.
#[derive(Debug)]
pub(crate) struct Failed {
    code: u8,
    error: anyhow::Error,
}

impl Failed {
    /// Says what is wrong, in one line, and gives the exit code.
    #[allow(clippy::print_stderr, reason = "the last words of a daemon that could not start")]
    pub(crate) fn report(&self) -> ExitCode {
        let line = format!("{:#}", self.error).replace('\n', " ");
        // The journal takes the number for the priority; without, it would not count as an error.
        let priority = if systemd::stderr_is_journal() { "<3>" } else { "" };
        eprintln!("{priority}dvsd: {line}");
        ExitCode::from(self.code)
    }
}

/// Attaches an exit code to an error.
pub(crate) trait OrExit<T> {
    /// The value, or an error that ends the daemon with `code`.
    fn or_exit(self, code: u8) -> Result<T, Failed>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, code: u8) -> Result<T, Failed> {
        self.map_err(|error| Failed { code, error: error.into() })
    }
}
