// SPDX-License-Identifier: GPL-3.0-or-later
//! The terminal: taken over, given back whatever happens, and what comes from it.

use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::mpsc::SyncSender;

use anyhow::Context;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::execute;
use crossterm::style::Print;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};

use super::app::{App, Input};
use super::escape;
use super::run::Incoming;
use super::screens;

/// The signals that are waited for instead of obeyed. None of them touches a call.
const SIGNALS: [Signal; 5] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGCONT];

/// The terminal, taken over. Dropping it gives it back.
pub(super) struct Screen {
    /// Never dropped: it would complain of a terminal that is gone on that very terminal, and panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// Whether titles are understood.
    escapes: bool,
}

impl Screen {
    /// Takes the terminal over. From here on even a panic gives it back.
    pub(super) fn take(escapes: bool) -> anyhow::Result<Self> {
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).context("opening the terminal")?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back(escapes);
            before(info);
        }));
        let screen = Self { terminal: ManuallyDrop::new(terminal), escapes };
        screen.enter().context("taking the terminal over")?;
        Ok(screen)
    }

    fn enter(&self) -> io::Result<()> {
        enable_raw_mode()?;
        let save = if self.escapes { escape::SAVE_TITLE } else { "" };
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Print(save))
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Draws what differs from the last frame.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.terminal.draw(|frame| screens::draw(app, frame)).map(drop)
    }

    /// Forgets the last frame, so that the next one is drawn whole. `Terminal::clear` would ask the terminal for the
    /// cursor's place, and the answer would go to the thread that reads the keys.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Says something beside the drawing.
    pub(super) fn say(&self, sequence: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(sequence.as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back and stops the process group, as Ctrl-Z does elsewhere; returns when it is continued.
    pub(super) fn suspend(&mut self) -> anyhow::Result<()> {
        give_back(self.escapes);
        kill(Pid::from_raw(0), Signal::SIGSTOP).context("stopping")?;
        self.resume()
    }

    /// Takes the terminal over again after a stop, during which a shell may have had it.
    pub(super) fn resume(&mut self) -> anyhow::Result<()> {
        let _ = disable_raw_mode();
        self.enter()?;
        self.clear()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(self.escapes);
    }
}

/// Undoes [`Screen::enter`]. On the way out nothing can be done about an error.
fn give_back(escapes: bool) {
    let restore = if escapes { escape::RESTORE_TITLE } else { "" };
    let _ = execute!(io::stdout(), Print(restore), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// Keeps our signals from all threads started later. To be called first.
pub(super) fn block_signals() -> anyhow::Result<()> {
    signals().thread_block().context("blocking signals")
}

fn signals() -> SigSet {
    SIGNALS.into_iter().collect()
}

/// Sends what is typed, and every signal, into `out`, each from a thread of its own.
pub(super) fn listen(out: &SyncSender<Incoming>) -> anyhow::Result<()> {
    let keys = out.clone();
    std::thread::Builder::new().name("keys".into()).spawn(move || read_events(&keys)).context("starting a thread")?;
    let caught = out.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || wait_signals(&caught))
        .context("starting a thread")?;
    Ok(())
}

fn read_events(out: &SyncSender<Incoming>) {
    loop {
        let input = match crossterm::event::read() {
            Ok(Event::Key(key)) => Incoming::Input(Input::Key(key)),
            Ok(Event::Paste(text)) => Incoming::Input(Input::Paste(text)),
            Ok(Event::Resize(columns, rows)) => Incoming::Input(Input::Resize(columns, rows)),
            Ok(_) => continue,
            Err(_) => Incoming::TerminalGone,
        };
        let gone = matches!(input, Incoming::TerminalGone);
        if out.send(input).is_err() || gone {
            return;
        }
    }
}

fn wait_signals(out: &SyncSender<Incoming>) {
    let signals = signals();
    while let Ok(signal) = signals.wait() {
        if out.send(Incoming::Signal(signal)).is_err() {
            return;
        }
    }
}
