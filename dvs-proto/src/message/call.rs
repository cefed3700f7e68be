// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls: how they stand, those of the past, and their figures.

use serde::{Deserialize, Serialize};

use super::Trust;

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// The states of a call as its user sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallState {
    /// Looking for the peer in the overlay.
    Lookup,
    /// Handshake.
    Connecting,
    /// Asked; the peer has not replied yet.
    Calling,
    /// The peer rings.
    Ringing,
    /// We ring: answer or decline.
    Alerting,
    /// The peer is in another call; of a call that came in, we are, and the caller was told so. It can be answered.
    Busy,
    /// In the peer's queue; if it came in, its caller is in ours.
    Waiting,
    /// Talking.
    Active,
    /// On hold.
    Held,
    /// Nothing heard for a while; looking for the peer again.
    Reconnecting,
    /// Hanging up.
    Ending,
    /// Over.
    Ended,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// We hung up.
    HungUp,
    /// The peer hung up.
    PeerHungUp,
    /// The peer declined.
    Declined,
    /// The peer is in another call.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The ID was not found in the overlay.
    NotFound,
    /// Found, but no connection came about.
    Unreachable,
    /// Nothing heard any more.
    PeerLost,
    /// The peer shows another key than the pinned one.
    KeyChanged,
    /// The peer broke the protocol.
    Protocol,
    /// The peer's daemon, or ours, shut down.
    GoingAway,
    /// Media could not be carried.
    Media,
    /// We are not in the overlay: no other node answers.
    Offline,
    /// We declined.
    DeclinedHere,
    /// The peer gave up before anybody answered here.
    Missed,
    /// The peer called while we were talking to somebody else.
    MissedBusy,
    /// The caller was refused by the policy for unknown callers.
    Refused,
    /// Connected, but the peer's daemon did not react to the call.
    NoReply,
    /// The peer speaks another version of the protocol.
    Version,
    /// The peer's daemon was restarted during the call.
    PeerRestarted,
    /// The peer is blocked.
    Blocked,
    /// Answered on another device of the same person.
    AnsweredElsewhere,
    /// Both sides are behind NAT that cannot be passed: only a relay would help.
    NeedsRelay,
}

/// A call that has not ended, or just did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInfo {
    /// Number of the call in this run of the daemon.
    pub call: u32,
    /// `dvs1…`
    pub peer: String,
    /// The contact's name.
    pub name: Option<String>,
    /// What is known of the peer's key.
    pub trust: Trust,
    /// Who dialled.
    pub direction: Direction,
    /// Where it stands.
    pub state: CallState,
    /// Seconds since 1970 when it was dialled or came in.
    pub started: u64,
    /// Seconds since 1970 when it was answered.
    pub answered: Option<u64>,
    /// Which local client answered, for example `anna on pts/3`.
    pub answered_by: Option<String>,
    /// How it reaches the peer, for example `direct 198.18.0.1:5004`.
    pub route: Option<String>,
    /// Why it ended.
    pub ended: Option<EndReason>,
    /// Microseconds from dialling until the peer was found.
    pub lookup_us: Option<u32>,
    /// Microseconds from dialling until the peer rang, or answered without ringing.
    pub ring_us: Option<u32>,
    /// Whether we hold it.
    pub held_here: bool,
    /// Whether the peer holds it.
    pub held_there: bool,
    /// Which try of the caller this is, from 1 on.
    pub attempt: u8,
    /// How many tries the caller means to make, from 1 on.
    pub tries: u8,
    /// We called and the peer is busy: whether its queue has room.
    pub can_wait: bool,
    /// Seconds since 1970 when a busy peer is tried again or given up ([`CallState::Busy`]), or when the place in the
    /// queue lapses ([`CallState::Waiting`]). `None` in [`CallState::Busy`] while a place is asked for.
    pub until: Option<u64>,
    /// Whether little or nothing is heard at present, although the call is not given up.
    pub unstable: bool,
}

/// A call of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCall {
    /// `dvs1…`
    pub peer: String,
    /// The contact's name at present.
    pub name: Option<String>,
    /// Who dialled.
    pub direction: Direction,
    /// Seconds since 1970 when it was dialled or came in.
    pub started: u64,
    /// Seconds it was talked; `None` when never answered.
    pub talked: Option<u32>,
    /// Why it ended.
    pub ended: EndReason,
}

/// The figures of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStats {
    /// Number of the call.
    pub call: u32,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// Interarrival jitter of received media, in microseconds.
    pub jitter_us: u32,
    /// Audio held in the playout buffer, in microseconds.
    pub buffer_us: u32,
    /// Media packets sent.
    pub sent: u64,
    /// Size of the last media datagram sent, in bytes of UDP payload.
    pub packet_bytes: u16,
    /// Smallest media datagram sent, in bytes.
    pub packet_bytes_min: u16,
    /// Largest media datagram sent, in bytes.
    pub packet_bytes_max: u16,
    /// Media packets received.
    pub received: u64,
    /// Media packets that never came, or came too late.
    pub lost: u64,
    /// Of these, how many came too late.
    pub late: u64,
    /// Lost frames recovered from the next packet's redundancy.
    pub recovered: u64,
    /// Lost frames concealed.
    pub concealed: u64,
    /// Share of media lost since the start, in thousandths.
    pub loss_permille: u16,
    /// Samples (48 kHz) inserted by stretching speech.
    pub stretched: u64,
    /// Samples (48 kHz) removed by shortening speech.
    pub shortened: u64,
    /// Sent media rate, in bit/s.
    pub tx_bitrate: u32,
    /// Received media rate, in bit/s.
    pub rx_bitrate: u32,
    /// Device over- and underruns.
    pub xruns: u64,
    /// Estimated mouth-to-ear delay, in microseconds.
    pub mouth_to_ear_us: Option<u32>,
    /// `CLOCK_MONOTONIC` of the first captured sample, in microseconds.
    pub capture_epoch_us: Option<u64>,
    /// `CLOCK_MONOTONIC` at which the first played sample reached the device's output, in microseconds.
    pub playback_epoch_us: Option<u64>,
    /// How often the session under the call has renewed its keys.
    pub epoch: u32,
    /// How often its path to the peer has changed.
    pub path_changes: u32,
    /// Packets that claimed to belong to the session and were not authentic.
    pub not_authentic: u64,
}

/// Sound levels in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Microphone, in tenths of a decibel below full scale (0 to -900).
    pub capture: i16,
    /// Peer, in tenths of a decibel below full scale.
    pub playback: i16,
}
