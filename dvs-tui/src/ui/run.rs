// SPDX-License-Identifier: GPL-3.0-or-later
//! The loop: wait for one input, update, carry out the effects, draw if something changed.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nix::libc;
use nix::sys::signal::Signal;

use super::Options;
use super::app::{App, Effect, Input};
use super::environment::{self, Environment};
use super::escape;
use super::link::{Dialler, Link};
use super::terminal::{self, Screen};

/// Exit code: the daemon cannot be reached.
const UNREACHABLE: u8 = 3;
/// Exit code: used wrongly.
const USAGE: u8 = 2;
/// Inputs that may wait. When the terminal is stuck, the daemon's queue for us takes the rest.
const WAITING: usize = 256;

/// What wakes the loop.
#[derive(Debug)]
pub(super) enum Incoming {
    /// For the application.
    Input(Input),
    /// A signal came.
    Signal(Signal),
    /// The terminal can no longer be read.
    TerminalGone,
}

/// Runs the full-screen client until its user leaves.
///
/// # Errors
/// When the terminal or the system fails. An unreachable daemon is said in one line, with exit code 3.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        complain("the full screen needs a terminal; without one use the verbs, see dvs-tui --help");
        return Ok(ExitCode::from(USAGE));
    }
    let dialler = Dialler {
        options: dvs_proto::client::Options {
            directory: options.runtime_dir.clone(),
            ..dvs_proto::client::Options::default()
        },
        name: environment::client_name(),
    };
    let environment = Environment::present();
    let setting = environment.setting(&options);
    let (client, snapshot) = match dialler.dial() {
        Ok(connected) => connected,
        Err(why) => {
            complain(&why);
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    terminal::block_signals()?;
    let (out, incoming) = sync_channel(WAITING);
    let link = Link::start(client, dialler, out.clone())?;
    let start = Instant::now();
    let app = App::new(setting, snapshot, environment::now(start));
    let screen = Screen::take(environment.escapes())?;
    terminal::listen(&out)?;
    let mut session = Session { app, screen, link, environment, fps: options.fps, start, urgent: true };
    let end = session.run(&incoming).or_else(hung_up)?;
    drop(session);
    if let Some(farewell) = end.farewell {
        writeln!(std::io::stdout(), "{farewell}")?;
    }
    Ok(ExitCode::from(end.code))
}

/// One line for whoever started us.
fn complain(why: &str) {
    // Nothing can be done when even this fails.
    let _ = writeln!(std::io::stderr(), "dvs-tui: {why}");
}

/// How it ended.
struct End {
    code: u8,
    farewell: Option<String>,
}

impl End {
    /// The end by a signal, with the shell's convention for the exit code.
    fn by(signal: Signal) -> Self {
        Self { code: u8::try_from(128 + signal as i32).unwrap_or(u8::MAX), farewell: None }
    }
}

/// All that runs.
struct Session {
    app: App,
    screen: Screen,
    link: Link,
    environment: Environment,
    fps: Option<u8>,
    start: Instant,
    /// Whether the user did something and should see at once what came of it.
    urgent: bool,
}

impl Session {
    fn run(&mut self, incoming: &Receiver<Incoming>) -> anyhow::Result<End> {
        let (columns, rows) = self.screen.size()?;
        if let ControlFlow::Break(end) = self.feed(Input::Resize(columns, rows))? {
            return Ok(end);
        }
        let (mut drawn, mut ticked, mut stale) = (None::<Instant>, Instant::now(), false);
        loop {
            let frame = self.environment.frame(self.fps, self.app.lively());
            stale |= self.app.take_changed();
            let due = drawn.is_none_or(|drawn| drawn.elapsed() >= frame);
            if stale && (due || self.urgent) {
                self.screen.draw(&self.app)?;
                (drawn, stale, self.urgent) = (Some(Instant::now()), false, false);
            }
            if let ControlFlow::Break(end) = self.await_one(incoming, frame.saturating_sub(ticked.elapsed()))? {
                return Ok(end);
            }
            if ticked.elapsed() >= frame {
                ticked = Instant::now();
                if let ControlFlow::Break(end) = self.feed(Input::Tick)? {
                    return Ok(end);
                }
            }
        }
    }

    /// Takes one input if one comes within `patience`.
    fn await_one(&mut self, incoming: &Receiver<Incoming>, patience: Duration) -> anyhow::Result<ControlFlow<End>> {
        match incoming.recv_timeout(patience) {
            Ok(Incoming::Input(input)) => {
                self.urgent |= matches!(input, Input::Key(_) | Input::Paste(_) | Input::Resize(..));
                self.feed(input)
            }
            Ok(Incoming::Signal(signal)) => self.signal(signal),
            Err(RecvTimeoutError::Timeout) => Ok(ControlFlow::Continue(())),
            Ok(Incoming::TerminalGone) | Err(RecvTimeoutError::Disconnected) => {
                Ok(ControlFlow::Break(End::by(Signal::SIGHUP)))
            }
        }
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<ControlFlow<End>> {
        match signal {
            Signal::SIGTSTP => self.screen.suspend()?,
            Signal::SIGCONT => self.screen.resume()?,
            Signal::SIGINT => {
                return self.feed(Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
            }
            signal => return Ok(ControlFlow::Break(End::by(signal))),
        }
        let (columns, rows) = self.screen.size()?;
        self.urgent = true;
        self.feed(Input::Resize(columns, rows))
    }

    fn feed(&mut self, input: Input) -> anyhow::Result<ControlFlow<End>> {
        for effect in self.app.update(input, environment::now(self.start)) {
            if let ControlFlow::Break(end) = self.carry_out(effect)? {
                return Ok(ControlFlow::Break(end));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn carry_out(&mut self, effect: Effect) -> anyhow::Result<ControlFlow<End>> {
        let tmux = self.environment.tmux;
        match effect {
            Effect::Send { id, request } => self.link.send(id, request),
            Effect::Bell => self.screen.say(escape::BELL)?,
            Effect::Notify { title, body } => self.escape(&escape::notification(&title, &body, tmux))?,
            Effect::Title(text) => self.escape(&escape::title(&text))?,
            Effect::Copy(text) => self.escape(&escape::clipboard(&text, tmux))?,
            Effect::Suspend => return self.signal(Signal::SIGTSTP),
            Effect::Redraw => self.screen.clear()?,
            Effect::Quit { farewell } => return Ok(ControlFlow::Break(End { code: 0, farewell })),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Says something only to terminals that understand it.
    fn escape(&self, sequence: &str) -> std::io::Result<()> {
        if self.environment.escapes() { self.screen.say(sequence) } else { Ok(()) }
    }
}

/// Whether the terminal is gone: drawing may fail before the signal that says so is heard.
fn hung_up(error: anyhow::Error) -> anyhow::Result<End> {
    let gone = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) == Some(libc::EIO);
    if gone { Ok(End::by(Signal::SIGHUP)) } else { Err(error) }
}
