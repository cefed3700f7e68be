// SPDX-License-Identifier: GPL-3.0-or-later
//! What the surroundings say: locale, terminal, host, time. The decisions are pure, the questions are asked at the end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::libc;

use super::Options;
use super::app::Setting;
use super::theme::Theme;
use super::time::{Now, Zone};

/// Frames per second while nothing moves.
const IDLE: u8 = 4;
/// Frames per second in a call.
const LIVELY: u8 = 10;
/// Frames per second in a call, over ssh.
const REMOTE: u8 = 5;

/// The variables that matter here.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    locale: Option<String>,
    term: Option<String>,
    no_color: bool,
    remote: bool,
    /// Whether the terminal is one of tmux's.
    pub(super) tmux: bool,
}

impl Environment {
    /// The variables of this process.
    pub(super) fn present() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set),
            term: set("TERM"),
            no_color: set("NO_COLOR").is_some(),
            remote: set("SSH_CONNECTION").is_some(),
            tmux: set("TMUX").is_some(),
        }
    }

    /// Whether the terminal understands nothing but text.
    fn plain_terminal(&self) -> bool {
        matches!(self.term.as_deref(), None | Some("linux" | "dumb" | "vt100" | "vt220"))
    }

    /// Whether the terminal shows more than ASCII. The Linux console's font lacks most of our symbols.
    fn unicode(&self) -> bool {
        let locale = self.locale.as_deref().unwrap_or_default().to_lowercase();
        !self.plain_terminal() && (locale.contains("utf-8") || locale.contains("utf8"))
    }

    fn colour(&self) -> bool {
        !self.no_color && !matches!(self.term.as_deref(), None | Some("dumb" | "vt100" | "vt220"))
    }

    /// Whether titles, notifications and the clipboard are worth a try.
    pub(super) fn escapes(&self) -> bool {
        !self.plain_terminal()
    }

    /// Time from one frame to the next.
    pub(super) fn frame(&self, fps: Option<u8>, lively: bool) -> Duration {
        let usual = match (lively, self.remote) {
            (false, _) => IDLE,
            (true, false) => LIVELY,
            (true, true) => REMOTE,
        };
        Duration::from_secs(1) / u32::from(fps.unwrap_or(usual).clamp(1, 60))
    }

    /// What the application is told.
    pub(super) fn setting(&self, options: &Options) -> Setting {
        Setting {
            theme: Theme::new(options.unicode.unwrap_or_else(|| self.unicode()), self.colour()),
            zone: Zone(offset),
            host: host(),
            notify: !options.quiet,
        }
    }
}

/// The moment, for a program that started at `start`.
pub(crate) fn now(start: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { mono: start.elapsed(), unix }
}

/// Name of this machine, or nothing.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    super::sanitise::text(name.trim())
}

/// Name of this terminal, for other clients: `pts/3`.
pub(crate) fn client_name() -> String {
    let input = std::fs::read_link("/proc/self/fd/0").unwrap_or_default();
    let device = input.to_str().and_then(|path| path.strip_prefix("/dev/"));
    let terminal = device.filter(|name| name.starts_with("pts/") || name.starts_with("tty"));
    terminal.map(str::to_owned).unwrap_or_else(|| format!("process {}", std::process::id()))
}

/// Seconds that the system's time zone is ahead at a moment.
pub(crate) fn offset(unix: u64) -> i32 {
    let Ok(time) = libc::time_t::try_from(unix) else { return 0 };
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and zeroed memory is a valid tm, even if the call fails.
    let parts = unsafe {
        libc::localtime_r(&raw const time, parts.as_mut_ptr());
        parts.assume_init()
    };
    i32::try_from(parts.tm_gmtoff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(locale: &str, term: &str) -> Environment {
        Environment { locale: Some(locale.into()), term: Some(term.into()), ..Environment::default() }
    }

    #[test]
    fn unicode_needs_a_locale_and_a_terminal_for_it() {
        assert!(environment("de_DE.UTF-8", "xterm-256color").unicode());
        assert!(environment("C.utf8", "tmux").unicode());
        assert!(!environment("C", "xterm").unicode());
        assert!(!environment("de_DE.UTF-8", "linux").unicode());
        assert!(!Environment::default().unicode());
    }

    #[test]
    fn no_color_and_dumb_terminals_mean_no_colour() {
        assert!(environment("C", "linux").colour());
        assert!(!environment("C", "dumb").colour());
        assert!(!Environment { no_color: true, ..environment("C", "xterm") }.colour());
    }

    #[test]
    fn frames_come_quicker_in_a_call_but_not_over_ssh() {
        let near = environment("C", "xterm");
        let far = Environment { remote: true, ..near.clone() };
        assert_eq!(near.frame(None, false), Duration::from_millis(250));
        assert_eq!(near.frame(None, true), Duration::from_millis(100));
        assert_eq!(far.frame(None, true), Duration::from_millis(200));
        assert_eq!(far.frame(Some(20), false), Duration::from_millis(50));
        assert_eq!(near.frame(Some(0), false), Duration::from_secs(1));
    }
}
