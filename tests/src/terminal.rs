// SPDX-License-Identifier: GPL-3.0-or-later
//! A terminal with a program in it: a pseudo-terminal of a given size, keys to type, and the screen to look at.

use core::num::NonZeroU16;
use core::time::Duration;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use vt100::{Callbacks, Parser, Screen};

use crate::harness::{Daemon, program, start_alone, wait_for};

/// How long a program may take to end when the terminal is dropped.
const END_TIME: Duration = Duration::from_secs(5);

/// The key Enter, for [`Terminal::type_keys`].
pub const ENTER: &str = "\r";
/// The key Esc. What is typed at once after it counts as Alt and a key: wait for what Esc did first.
pub const ESC: &str = "\x1b";
/// The key Tab.
pub const TAB: &str = "\t";
/// Ctrl and a letter.
pub fn ctrl(letter: char) -> String {
    char::from(letter as u8 & 0x1f).to_string()
}

/// Columns and rows.
pub type Size = (u16, u16);

/// The size of most terminals.
pub const USUAL: Size = (80, 24);

/// What was said to the terminal beside the drawing.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// How often the bell rang.
    pub bells: usize,
    /// The window's name.
    pub title: String,
}

impl Callbacks for Said {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into_owned();
    }
}

/// A program in a terminal. Dropping it hangs up, as closing a window does.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    line: Option<Line>,
    picture: Arc<Picture>,
}

impl Terminal {
    /// Opens the full screen of `dvs-tui` on `daemon`.
    pub fn open(daemon: &Daemon, size: Size) -> Result<Self> {
        Self::open_with(daemon, size, &[], &[])
    }

    /// As [`Terminal::open`], with further arguments and environment variables.
    pub fn open_with(daemon: &Daemon, size: Size, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let directory = daemon.runtime_directory();
        let directory = directory.to_str().context("the directory's name is not UTF-8")?;
        let arguments = [&["--runtime-dir", directory], arguments].concat();
        Self::run(&program("dvs-tui")?, size, &arguments, environment)
    }

    /// Runs `program` in a terminal that speaks UTF-8 and knows colours, with no other environment than that.
    pub fn run(program: &Path, size: Size, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        let path = std::env::var("PATH").unwrap_or_default();
        for (name, value) in [("PATH", path.as_str()), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")] {
            command.env(name, value);
        }
        environment.iter().for_each(|(name, value)| command.env(name, value));
        let _alone = start_alone();
        let pair = native_pty_system().openpty(pty_size(size))?;
        let child = pair.slave.spawn_command(command)?;
        let picture = Arc::new(Picture::new(size)?);
        let line = Line::start(pair.master, Arc::clone(&picture))?;
        Ok(Self { child, line: Some(line), picture })
    }

    /// Types.
    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        let line = self.line.as_mut().context("the terminal is gone")?;
        Ok(line.keys.write_all(keys.as_bytes())?)
    }

    /// Gives the window another size, which the program is told.
    pub fn resize(&mut self, size: Size) -> Result<()> {
        let (rows, columns) = cells(size)?;
        self.picture.lock().parser.set_size(rows, columns);
        self.line.as_ref().context("the terminal is gone")?.master.resize(pty_size(size))
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        self.picture.lock().parser.screen().contents()
    }

    /// What was said to the terminal beside the drawing.
    pub fn said(&self) -> Said {
        self.picture.lock().parser.callbacks().clone()
    }

    /// Waits until `text` is on the screen, and hands the screen out.
    pub fn wait_for_text(&mut self, limit: Duration, text: &str) -> Result<String> {
        self.wait_until(limit, &format!("{text:?}"), |screen| screen.contents().contains(text))
    }

    /// Waits until all of `texts` are on the screen at once. A screen is drawn in pieces, so that what one wait found
    /// says nothing of the rest of it.
    pub fn wait_for_texts(&mut self, limit: Duration, texts: &[&str]) -> Result<String> {
        self.wait_until(limit, &format!("{texts:?}"), |screen| {
            let contents = screen.contents();
            texts.iter().all(|text| contents.contains(text))
        })
    }

    /// Waits until `text` is no longer on the screen.
    pub fn wait_until_gone(&mut self, limit: Duration, text: &str) -> Result<String> {
        self.wait_until(limit, &format!("the end of {text:?}"), |screen| !screen.contents().contains(text))
    }

    /// Waits until the screen looks right to `good`, and hands its text out.
    pub fn wait_until(&mut self, limit: Duration, what: &str, good: impl Fn(&Screen) -> bool) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut state = self.picture.lock();
        loop {
            let screen = state.parser.screen();
            if good(screen) {
                return Ok(screen.contents());
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if state.closed || rest.is_zero() {
                let why = if state.closed { "the program ended".to_owned() } else { format!("waited {limit:?}") };
                bail!("{why} without {what}; the screen says:\n{}", framed(screen));
            }
            state = self.picture.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the program and for the last it wrote.
    pub fn wait_for_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = wait_for(limit, "the end of the program", || Ok(self.child.try_wait()?));
        let status = status.with_context(|| format!("the screen says:\n{}", self.text()))?;
        if let Some(line) = &mut self.line {
            line.finish();
        }
        Ok(status)
    }

    /// Whether the terminal is as a shell wants it: the usual screen, a cursor, echo, lines, pastes without brackets.
    pub fn is_given_back(&self) -> Result<bool> {
        let line = self.line.as_ref().context("the terminal is gone")?;
        let modes = tcgetattr(&line.keys)?.local_flags;
        let state = self.picture.lock();
        let screen = state.parser.screen();
        let drawing = screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste();
        Ok(!drawing && modes.contains(LocalFlags::ECHO | LocalFlags::ICANON))
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.process_id().context("the program has no pid")?;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// Closes the window: the system tells the program by SIGHUP, and nothing reads or shows anything any more.
    pub fn hang_up(&mut self) {
        self.line = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.hang_up();
        if wait_for(END_TIME, "the end of the program", || Ok(self.child.try_wait()?)).is_err() {
            let _ = self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl core::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Terminal:\n{}", self.text())
    }
}

/// Our end of the pseudo-terminal. It hangs up when all of this is dropped.
struct Line {
    /// Says the size.
    master: Box<dyn MasterPty + Send>,
    /// Where keys go. (The writer that `master` offers would press Enter when it is dropped.)
    keys: File,
    reader: Option<JoinHandle<()>>,
    stop: Arc<EventFd>,
}

impl Line {
    /// Reads what the program draws, on a thread of its own, so that it never has to wait for us.
    fn start(master: Box<dyn MasterPty + Send>, picture: Arc<Picture>) -> Result<Self> {
        let raw = master.as_raw_fd().context("the terminal has no descriptor")?;
        // SAFETY: `master` owns the descriptor and outlives this block.
        let keys = unsafe { BorrowedFd::borrow_raw(raw) }.try_clone_to_owned()?;
        let output = keys.try_clone()?;
        let stop = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        let reader = std::thread::Builder::new().name("screen".into());
        let reader = reader.spawn(move || picture.follow(output, &stopped))?;
        Ok(Self { master, keys: File::from(keys), reader: Some(reader), stop })
    }

    /// Reads to the end; the program must have ended.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        self.finish();
    }
}

/// The screen.
struct Picture {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser<Said>,
    /// Whether nothing more will be drawn.
    closed: bool,
}

impl Picture {
    fn new(size: Size) -> Result<Self> {
        let (rows, columns) = cells(size)?;
        let parser = Parser::new_with_callbacks(rows, columns, 0, Said::default());
        Ok(Self { state: Mutex::new(State { parser, closed: false }), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws all that comes out of `output`, until it ends or `stop` is raised.
    fn follow(&self, output: OwnedFd, stop: &EventFd) {
        let mut output = File::from(output);
        let mut bytes = [0; 16_384];
        while is_readable(&output, stop) {
            let Ok(length @ 1..) = output.read(&mut bytes) else { break };
            self.lock().parser.process(bytes.get(..length).unwrap_or_default());
            self.changed.notify_all();
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Waits for output; false when there will be none, or nobody wants it.
fn is_readable(output: &File, stop: &EventFd) -> bool {
    use std::os::fd::AsFd;
    let mut ends = [PollFd::new(output.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    let [_, stop] = ends;
    !stop.any().unwrap_or(true)
}

fn pty_size((columns, rows): Size) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn cells((columns, rows): Size) -> Result<(NonZeroU16, NonZeroU16)> {
    NonZeroU16::new(rows).zip(NonZeroU16::new(columns)).context("a terminal without cells")
}

/// The screen with a line around it, so that a failure shows where it ends.
fn framed(screen: &Screen) -> String {
    let (_, columns) = screen.size();
    let edge = "=".repeat(usize::from(columns.get()));
    let rows: Vec<String> = screen.rows(0, columns.get()).collect();
    format!("{edge}\n{}\n{edge}", rows.join("\n"))
}

/// The cell at which `text` begins, if it is on one row of the screen.
pub fn cell_of<'a>(screen: &'a Screen, text: &str) -> Option<&'a vt100::Cell> {
    let (rows, columns) = screen.size();
    (0..rows.get()).find_map(|row| {
        let starts = |column: &u16| screen.contents_between(row, *column, row, columns.get()).starts_with(text);
        (0..columns.get()).find(starts).and_then(|column| screen.cell(row, column))
    })
}

/// Whether any cell of the screen has a colour.
pub fn has_colour(screen: &Screen) -> bool {
    let (rows, columns) = screen.size();
    let coloured =
        |cell: &vt100::Cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default;
    (0..rows.get()).any(|row| (0..columns.get()).any(|column| screen.cell(row, column).is_some_and(coloured)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Terminal {
        Terminal::run(Path::new("/bin/sh"), (20, 4), &["-c", script], &[]).unwrap()
    }

    #[test]
    fn what_a_program_writes_is_on_the_screen_and_what_is_typed_reaches_it() {
        let mut terminal = shell("echo ready; read line; echo \"<$line>\"");
        terminal.wait_for_text(LIMIT, "ready").unwrap();
        terminal.type_keys("hello\r").unwrap();
        terminal.wait_for_text(LIMIT, "<hello>").unwrap();
        assert!(terminal.wait_for_exit(LIMIT).unwrap().success());
        assert!(terminal.is_given_back().unwrap());
    }

    #[test]
    fn a_wait_in_vain_shows_the_screen() {
        let mut terminal = shell("echo something else; exec sleep 60");
        let error = terminal.wait_for_text(Duration::from_millis(500), "this").unwrap_err().to_string();
        assert!(error.contains("without \"this\"") && error.contains("something else"), "{error}");
    }

    #[test]
    fn a_program_that_ended_is_not_waited_for() {
        let error = shell("echo bye").wait_for_text(LIMIT, "never").unwrap_err().to_string();
        assert!(error.contains("the program ended") && error.contains("bye"), "{error}");
    }

    #[test]
    fn closing_the_window_hangs_up_and_types_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("typed").display().to_string();
        let script =
            format!("trap 'exit 7' HUP; echo ready; while read line; do echo \"$line\" >> {path}; done; exit 8");
        let mut terminal = shell(&script);
        terminal.wait_for_text(LIMIT, "ready").unwrap();
        terminal.hang_up();
        let status = terminal.wait_for_exit(LIMIT).unwrap();
        assert!([7, 8].contains(&status.exit_code()), "{status}");
        assert!(!Path::new(&path).exists());
    }
}
