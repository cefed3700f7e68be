// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui call`

use std::os::fd::AsFd;
use std::path::PathBuf;

use dvs_proto::message::{CallInfo, CallState, Direction, EndReason, Event, Network, Reply, Request};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::output::{Output, aside, mention_mute};
use crate::attach::{Line, unexpected};
use crate::failed::Failed;
use crate::ui::calls;

/// Dials, and follows the call until it rings or fails; with `wait`, until it is over.
pub(super) fn run(
    dial: Request,
    target: &str,
    wait: bool,
    directory: Option<PathBuf>,
    out: &mut Output,
) -> Result<(), Failed> {
    let (line, snapshot) = Line::open(directory)?;
    mention_mute(&snapshot.audio);
    let mut follower = Follower {
        line,
        network: snapshot.network,
        wait,
        number: None,
        shown: None,
        warned: false,
        interrupt: interrupts()?,
    };
    let reply = follower.line.ask(dial);
    match reply.map_err(|failed| super::contacts::mistyped(failed, target, &snapshot.contacts))? {
        // Its state may be ahead of the events, which tell all steps in order.
        Reply::Call(call) => follower.number = Some(call.call),
        // It is over already; its last event is on the way.
        Reply::Done => {}
        other => return Err(unexpected(&other)),
    }
    follower.follow(out)
}

/// The contact's name, or else the ID.
pub(super) fn who(call: &CallInfo) -> &str {
    call.name.as_deref().unwrap_or(&call.peer)
}

/// Ctrl-C as something to be waited for.
fn interrupts() -> Result<SignalFd, Failed> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    let failed = |error: Errno| Failed::internal(format!("cannot take signals: {error}"));
    signals.thread_block().map_err(failed)?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(failed)
}

/// What of a call is worth a line when it changes.
type Step = (CallState, u8, bool, bool, bool);

/// What comes next.
enum Next {
    Call(CallInfo),
    Interrupt,
}

/// One call, followed.
struct Follower {
    line: Line,
    /// The overlay as the daemon told it last.
    network: Network,
    wait: bool,
    number: Option<u32>,
    /// What was shown last.
    shown: Option<Step>,
    /// Whether a trouble with the sound was told.
    warned: bool,
    interrupt: SignalFd,
}

impl Follower {
    fn follow(&mut self, out: &mut Output) -> Result<(), Failed> {
        loop {
            let call = match self.next()? {
                Next::Call(call) => call,
                Next::Interrupt => return out.note("the call goes on; to end it: dvs-tui hangup"),
            };
            if self.settled(&call) {
                return finish(&call, &self.network, out);
            }
            let step = (call.state, call.attempt, call.held_here, call.held_there, call.unstable);
            if self.shown != Some(step) {
                self.shown = Some(step);
                self.tell(&call, out)?;
            }
        }
    }

    /// Shows how the call stands to whoever stays with it; to others only what makes them wait.
    fn tell(&self, call: &CallInfo, out: &mut Output) -> Result<(), Failed> {
        if self.wait {
            out.show(call, progress)
        } else if call.state == CallState::Busy {
            let hint = if call.can_wait { "; to wait in the queue: dvs-tui wait" } else { "" };
            aside(&format!("{}{hint}", progress(call)));
            Ok(())
        } else {
            Ok(())
        }
    }

    /// Whether nothing more is to be waited for.
    fn settled(&self, call: &CallInfo) -> bool {
        match call.state {
            CallState::Ended => true,
            CallState::Lookup
            | CallState::Connecting
            | CallState::Calling
            | CallState::Busy
            | CallState::Reconnecting
            | CallState::Ending => false,
            CallState::Ringing | CallState::Alerting | CallState::Waiting | CallState::Active | CallState::Held => {
                !self.wait
            }
        }
    }

    /// The next news of this call, or Ctrl-C.
    fn next(&mut self) -> Result<Next, Failed> {
        loop {
            while let Some(event) = self.line.event_at_hand()? {
                match event {
                    Event::Call(call) if self.is_ours(&call) => return Ok(Next::Call(call)),
                    Event::Network(network) => self.network = *network,
                    Event::Audio(audio) => self.warn(audio.trouble),
                    _ => {}
                }
            }
            let mut ends = [
                PollFd::new(self.line.client().as_fd(), PollFlags::POLLIN),
                PollFd::new(self.interrupt.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ends, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(Failed::internal(format!("cannot wait: {error}"))),
            }
            let [_, interrupt] = ends;
            if interrupt.any().unwrap_or(false) {
                return Ok(Next::Interrupt);
            }
        }
    }

    /// Tells of trouble with the sound, once.
    fn warn(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble.filter(|_| self.wait && !self.warned) {
            self.warned = true;
            aside(&format!("warning: {trouble}"));
        }
    }

    fn is_ours(&self, call: &CallInfo) -> bool {
        match self.number {
            Some(number) => call.call == number,
            None => call.direction == Direction::Outgoing && call.state == CallState::Ended,
        }
    }
}

/// What goes on in a call, which try it is, and what comes next.
pub(super) fn progress(call: &CallInfo) -> String {
    let more = calls::outlook(call, super::history::now()).or_else(|| calls::tries(call));
    let more = more.map(|more| format!(", {more}")).unwrap_or_default();
    format!("{}{more}", calls::progress(call, who(call)))
}

/// The last word on a call.
fn finish(call: &CallInfo, network: &Network, out: &mut Output) -> Result<(), Failed> {
    if call.state != CallState::Ended {
        return out.show(call, |call| format!("{} (call {})", progress(call), call.call));
    }
    let talked = call.answered.is_some();
    match call.ended {
        Some(EndReason::HungUp | EndReason::PeerHungUp) if talked => {
            out.show(call, |call| calls::why(call.ended.unwrap_or(EndReason::HungUp), call.direction, who(call)))
        }
        _ => {
            out.show(call, |_| String::new())?;
            Err(Failed::ended(call, network))
        }
    }
}
