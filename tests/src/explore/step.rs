// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that can happen in one step.

use std::fmt;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    // What users do.
    Dial,
    Answer,
    Decline,
    HangUp,
    Hold,
    Switch,
    Wait,
    Leave,
    Shutdown,
    MediaFails,
    // What goes well.
    Found,
    Shake,
    Accept,
    Deliver,
    DeliverLate,
    MoveOver,
    Heal,
    // What goes ill.
    NotFound,
    Unconfirmed,
    Replace,
    Cut,
    CloseIdle,
    CloseGoingAway,
    CloseGlare,
    Restart,
    Reconnect,
    // Time.
    Timer,
    Silence,
    Brink,
}

/// One step: what happens, to whom, and with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) side: u8,
    pub(super) peer: u8,
}

impl Step {
    pub(super) const fn new(what: What, side: usize, peer: usize) -> Self {
        Self { what, side: side as u8, peer: peer as u8 }
    }

    /// Whether it is a command or a disturbance, and not what happens of itself.
    pub(super) const fn is_command(self) -> bool {
        !matches!(
            self.what,
            What::Found
                | What::Shake
                | What::Accept
                | What::Deliver
                | What::DeliverLate
                | What::MoveOver
                | What::Heal
                | What::Timer
                | What::Silence
        )
    }

    /// Whether a user does it.
    pub(super) const fn is_of_users(self) -> bool {
        matches!(
            self.what,
            What::Dial
                | What::Answer
                | What::Decline
                | What::HangUp
                | What::Hold
                | What::Switch
                | What::Wait
                | What::Leave
        )
    }
}

/// A side's name.
pub(super) const fn name(side: usize) -> char {
    match side {
        0 => 'A',
        1 => 'B',
        _ => 'C',
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, peer) = (name(self.side.into()), name(self.peer.into()));
        match self.what {
            What::Dial => write!(f, "{side}'s user dials {peer}"),
            What::Answer => write!(f, "{side}'s user answers {peer}"),
            What::Decline => write!(f, "{side}'s user declines {peer}'s call"),
            What::HangUp => write!(f, "{side}'s user hangs up on {peer}"),
            What::Hold => write!(f, "{side}'s user holds or resumes the call with {peer}"),
            What::Switch => write!(f, "{side}'s user switches to the call with {peer}"),
            What::Wait => write!(f, "{side}'s user wants a place in {peer}'s queue"),
            What::Leave => write!(f, "{side}'s user leaves {peer}'s queue"),
            What::Shutdown => write!(f, "{side}'s daemon is told to stop"),
            What::MediaFails => write!(f, "{side} cannot carry the media of the call with {peer}"),
            What::Found => write!(f, "{side} finds {peer} in the overlay"),
            What::Shake => write!(f, "{side}'s handshake with {peer} completes at {side}"),
            What::Accept => write!(f, "{peer}'s handshake with {side} completes at {side}"),
            What::Deliver => write!(f, "what {side} sent next arrives at {peer}"),
            What::DeliverLate => write!(f, "what {side} sent on an old session arrives at {peer}"),
            What::MoveOver => write!(f, "{side} changes to another session with {peer}"),
            What::Heal => write!(f, "{side} and {peer} can reach each other again"),
            What::NotFound => write!(f, "{side} gives up searching {peer}"),
            What::Unconfirmed => write!(f, "{side}'s new session with {peer} is never confirmed"),
            What::Replace => write!(f, "the session of {side} and {peer} will be replaced"),
            What::Cut => write!(f, "{side} and {peer} cannot reach each other any more"),
            What::CloseIdle => write!(f, "{side} closes the session with {peer}: idle"),
            What::CloseGoingAway => write!(f, "{side} closes the session with {peer}: room is needed"),
            What::CloseGlare => write!(f, "{side} closes the session with {peer}: glare, and there is no other"),
            What::Restart => write!(f, "{side}'s daemon dies and is started again"),
            What::Reconnect => write!(f, "{side} makes a new session with {peer}, which it has lost"),
            What::Timer => write!(f, "time passes until a timer of {side}'s calls"),
            What::Silence => write!(f, "time passes until {side} has not heard {peer} for too long"),
            What::Brink => write!(f, "time passes until shortly before the next timer"),
        }
    }
}
