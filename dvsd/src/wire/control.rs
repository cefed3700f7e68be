// SPDX-License-Identifier: GPL-3.0-or-later
//! Frames of the encrypted control stream: call signalling, heartbeats, path checks, media reports.
//!
//! On the wire a frame is type(1), length(2), body. Types 0x01–0x7F are reliable: their body begins with a 16-bit
//! message number, which belongs to the stream (`session/control`) and is not part of [`Frame`]. Types
//! 0x80–0xFF are unreliable. Unknown types are not an error: they parse to `None` and are ignored, so that a
//! later version may add to them.

use core::fmt;
use core::net::SocketAddr;

use super::cursor::{Emit, Reader};
use super::{Malformed, address};

#[cfg(test)]
mod tests;

/// The largest frame body, message number included, in bytes.
pub const MAX_BODY: usize = 1024;
/// Length of the SubjectPublicKeyInfo of a P-256 key, the only kind used for key exchange.
pub const EXCHANGE_KEY_LEN: usize = 91;
/// How many addresses a PATH_OFFER may list.
pub const MAX_OFFERED: usize = 8;

/// The type bytes of frames.
pub mod frame {
    #![allow(missing_docs, reason = "each is the name of a frame in docs/PROTOCOL.md")]
    pub const CALL_INITIATE: u8 = 0x01;
    pub const CALL_INITIATE_REPLY: u8 = 0x02;
    pub const CALL_ANSWER: u8 = 0x03;
    pub const CALL_BUSY: u8 = 0x04;
    pub const CALL_WAITING: u8 = 0x05;
    pub const CALL_WAITING_REPLY: u8 = 0x06;
    pub const CALL_TERMINATE: u8 = 0x07;
    pub const CALL_TERMINATE_REPLY: u8 = 0x08;
    pub const CALL_HOLD: u8 = 0x09;
    pub const MEDIA_PARAMS: u8 = 0x0a;
    pub const REKEY_INIT: u8 = 0x10;
    pub const REKEY_RESP: u8 = 0x11;
    pub const REKEY_REQ: u8 = 0x12;
    pub const PATH_OFFER: u8 = 0x20;
    pub const VERIFY_COMMIT: u8 = 0x30;
    pub const VERIFY_NONCE: u8 = 0x31;
    pub const VERIFY_REVEAL: u8 = 0x32;
    pub const CLOSE: u8 = 0x7f;
    pub const HEART_BEAT: u8 = 0x80;
    pub const HEART_BEAT_REPLY: u8 = 0x81;
    pub const PATH_CHALLENGE: u8 = 0x82;
    pub const PATH_RESPONSE: u8 = 0x83;
    pub const MEDIA_REPORT: u8 = 0x84;
    pub const PAD: u8 = 0x85;
}

/// Whether frames of type `kind` are delivered once and in order.
pub const fn is_reliable(kind: u8) -> bool {
    kind < 0x80
}

/// Why a call or a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Somebody hung up.
    Normal = 0,
    /// The callee declined.
    Declined = 1,
    /// The callee is in another call.
    Busy = 2,
    /// Nobody answered in time.
    Timeout = 3,
    /// The peer was not found or did not respond.
    Unreachable = 4,
    /// Nothing was heard from the peer any more.
    PeerLost = 5,
    /// Both sides connected at once; the other session carries on.
    Glare = 6,
    /// The peer broke the protocol.
    Protocol = 7,
    /// Media could not be carried.
    MediaFailure = 8,
    /// The peer is blocked.
    Blocked = 9,
    /// The peer's daemon restarted.
    PeerRestarted = 10,
    /// The daemon shuts down or needs the room.
    GoingAway = 11,
    /// Answered on another device of the same person.
    AnsweredElsewhere = 12,
}

impl Reason {
    /// The reason with wire value `byte`; unknown values, which a later version may add, read as [`Self::Normal`].
    pub const fn from_wire(byte: u8) -> Self {
        match byte {
            1 => Self::Declined,
            2 => Self::Busy,
            3 => Self::Timeout,
            4 => Self::Unreachable,
            5 => Self::PeerLost,
            6 => Self::Glare,
            7 => Self::Protocol,
            8 => Self::MediaFailure,
            9 => Self::Blocked,
            10 => Self::PeerRestarted,
            11 => Self::GoingAway,
            12 => Self::AnsweredElsewhere,
            _ => Self::Normal,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "hung up",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Timeout => "no answer",
            Self::Unreachable => "unreachable",
            Self::PeerLost => "connection lost",
            Self::Glare => "both dialled at once",
            Self::Protocol => "protocol violation",
            Self::MediaFailure => "media failure",
            Self::Blocked => "blocked",
            Self::PeerRestarted => "peer restarted",
            Self::GoingAway => "peer is shutting down",
            Self::AnsweredElsewhere => "answered elsewhere",
        })
    }
}

/// What the receiver of media saw (PROTOCOL.md, "Media reports").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MediaReport {
    /// Highest media sequence number received in this session, in ticks of 2.5 ms.
    pub highest_tick: u32,
    /// Media packets received in this session.
    pub received: u32,
    /// Share of media time lost in the last second, in thousandths.
    pub lost_permille: u16,
    /// Interarrival jitter, in milliseconds.
    pub jitter_ms: u16,
    /// Delay above the path's minimum, in milliseconds.
    pub queue_ms: u16,
    /// Slope of the delay, in units of 0.1 ms per second.
    pub trend: i16,
    /// Received media rate, in units of 0.1 kbit/s.
    pub rx_rate: u16,
}

/// One frame, without its type, length and message number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// A call begins: "may I ring you?"
    CallInitiate {
        /// Chosen by the caller at random; names the call in all its frames.
        call_id: u32,
        /// Which attempt this is, from 1 (the report's "number of tries").
        attempt: u8,
        /// How many attempts the caller intends at most.
        max_tries: u8,
    },
    /// Ringing (`ok`), or not, and why.
    CallInitiateReply {
        /// The call.
        call_id: u32,
        /// Whether the callee rings.
        ok: bool,
        /// Why not, when not ok.
        reason: Reason,
    },
    /// The callee's user answered: media may flow.
    CallAnswer {
        /// The call.
        call_id: u32,
    },
    /// The callee is in another call.
    CallBusy {
        /// The call.
        call_id: u32,
        /// Whether the caller may queue.
        can_wait: bool,
        /// Seconds after which another attempt makes sense.
        ttw: u16,
    },
    /// The caller wants (or no longer wants) to queue.
    CallWaiting {
        /// The call.
        call_id: u32,
        /// Whether to be in the queue.
        want: bool,
    },
    /// Whether the caller is queued, and for how long.
    CallWaitingReply {
        /// The call.
        call_id: u32,
        /// Whether the caller is in the queue.
        ok: bool,
        /// Time to wait, in seconds.
        ttw: u16,
    },
    /// The call ends.
    CallTerminate {
        /// The call.
        call_id: u32,
        /// Why.
        reason: Reason,
    },
    /// The end was understood.
    CallTerminateReply {
        /// The call.
        call_id: u32,
        /// Whether the call was known.
        ok: bool,
    },
    /// The sender puts the call on hold, or resumes it.
    CallHold {
        /// The call.
        call_id: u32,
        /// Held (true) or resumed.
        on: bool,
    },
    /// What the sender is able to receive.
    MediaParams {
        /// Frame duration in ticks of 2.5 ms.
        frame_ticks: u8,
        /// Highest bitrate, in kbit/s.
        max_kbps: u16,
        /// 0 constant, 1 padded, 2 variable bitrate.
        mode: u8,
        /// Whether in-band forward error correction is understood.
        fec: bool,
    },
    /// A fresh key for the next epoch.
    RekeyInit {
        /// The epoch to be.
        epoch: u32,
        /// The sender's new exchange key.
        key: [u8; EXCHANGE_KEY_LEN],
    },
    /// The other fresh key for the next epoch.
    RekeyResp {
        /// The epoch to be.
        epoch: u32,
        /// The sender's new exchange key.
        key: [u8; EXCHANGE_KEY_LEN],
    },
    /// The handshake's responder asks for a rekey.
    RekeyReq {
        /// The epoch to be.
        epoch: u32,
    },
    /// Other addresses at which the sender may be reached.
    PathOffer {
        /// At most [`MAX_OFFERED`].
        addresses: Vec<SocketAddr>,
    },
    /// First step of voice verification: a commitment to a nonce.
    VerifyCommit {
        /// SHA-256 of the nonce to be revealed.
        commitment: [u8; 32],
    },
    /// Second step: the other side's nonce.
    VerifyNonce {
        /// Random.
        nonce: [u8; 16],
    },
    /// Third step: the nonce committed to.
    VerifyReveal {
        /// Random.
        nonce: [u8; 16],
    },
    /// The session ends.
    Close {
        /// Why.
        reason: Reason,
    },
    /// "Are you there?"
    HeartBeat {
        /// Echoed by the reply.
        id: u32,
        /// The sender's clock in milliseconds, echoed by the reply.
        t_ms: u32,
        /// Media packets sent in this session.
        media_sent: u32,
        /// The last media sequence number sent.
        media_seq: u32,
    },
    /// "I am."
    HeartBeatReply {
        /// From the heartbeat.
        id: u32,
        /// From the heartbeat.
        t_ms: u32,
        /// How long the reply was held back, in milliseconds.
        hold_ms: u16,
    },
    /// "Can you hear me at this address?"
    PathChallenge {
        /// Random.
        data: [u8; 8],
    },
    /// The challenge's bytes, sent back to where it came from.
    PathResponse {
        /// From the challenge.
        data: [u8; 8],
    },
    /// What the receiver of media saw.
    MediaReport(MediaReport),
    /// Filler, ignored.
    Pad {
        /// How many bytes.
        length: u16,
    },
}

impl Frame {
    /// The type byte.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::CallInitiate { .. } => frame::CALL_INITIATE,
            Self::CallInitiateReply { .. } => frame::CALL_INITIATE_REPLY,
            Self::CallAnswer { .. } => frame::CALL_ANSWER,
            Self::CallBusy { .. } => frame::CALL_BUSY,
            Self::CallWaiting { .. } => frame::CALL_WAITING,
            Self::CallWaitingReply { .. } => frame::CALL_WAITING_REPLY,
            Self::CallTerminate { .. } => frame::CALL_TERMINATE,
            Self::CallTerminateReply { .. } => frame::CALL_TERMINATE_REPLY,
            Self::CallHold { .. } => frame::CALL_HOLD,
            Self::MediaParams { .. } => frame::MEDIA_PARAMS,
            Self::RekeyInit { .. } => frame::REKEY_INIT,
            Self::RekeyResp { .. } => frame::REKEY_RESP,
            Self::RekeyReq { .. } => frame::REKEY_REQ,
            Self::PathOffer { .. } => frame::PATH_OFFER,
            Self::VerifyCommit { .. } => frame::VERIFY_COMMIT,
            Self::VerifyNonce { .. } => frame::VERIFY_NONCE,
            Self::VerifyReveal { .. } => frame::VERIFY_REVEAL,
            Self::Close { .. } => frame::CLOSE,
            Self::HeartBeat { .. } => frame::HEART_BEAT,
            Self::HeartBeatReply { .. } => frame::HEART_BEAT_REPLY,
            Self::PathChallenge { .. } => frame::PATH_CHALLENGE,
            Self::PathResponse { .. } => frame::PATH_RESPONSE,
            Self::MediaReport(_) => frame::MEDIA_REPORT,
            Self::Pad { .. } => frame::PAD,
        }
    }

    /// Whether the frame is delivered once and in order.
    pub const fn is_reliable(&self) -> bool {
        is_reliable(self.kind())
    }

    /// Reads the body of a frame of type `kind`, message number already taken off. `Ok(None)` for a type this
    /// version does not know; an error for a known type whose body is not exactly its layout.
    pub fn parse(kind: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(body);
        let parsed = match kind {
            frame::CALL_INITIATE..=frame::CALL_HOLD => parse_call(kind, &mut reader),
            frame::HEART_BEAT..=frame::PAD => parse_unreliable(kind, &mut reader),
            _ => parse_session(kind, &mut reader),
        }?;
        if parsed.is_some() {
            reader.finish()?;
        }
        Ok(parsed)
    }

    /// Appends the body, without type, length and message number.
    pub fn emit_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::MediaParams { frame_ticks, max_kbps, mode, fec } => {
                out.emit_u8(*frame_ticks);
                out.emit_u16(*max_kbps);
                out.emit(&[*mode, u8::from(*fec)]);
            }
            Self::RekeyInit { epoch, key } | Self::RekeyResp { epoch, key } => {
                out.emit_u32(*epoch);
                out.emit(key);
            }
            Self::RekeyReq { epoch } => out.emit_u32(*epoch),
            Self::PathOffer { addresses } => emit_offer(addresses, out),
            Self::VerifyCommit { commitment } => out.emit(commitment),
            Self::VerifyNonce { nonce } | Self::VerifyReveal { nonce } => out.emit(nonce),
            Self::Close { reason } => out.emit_u8(*reason as u8),
            Self::HeartBeat { id, t_ms, media_sent, media_seq } => {
                [id, t_ms, media_sent, media_seq].into_iter().for_each(|field| out.emit_u32(*field));
            }
            Self::HeartBeatReply { id, t_ms, hold_ms } => {
                out.emit_u32(*id);
                out.emit_u32(*t_ms);
                out.emit_u16(*hold_ms);
            }
            Self::PathChallenge { data } | Self::PathResponse { data } => out.emit(data),
            Self::MediaReport(report) => emit_report(report, out),
            Self::Pad { length } => out.resize(out.len() + usize::from(*length), 0),
            _ => self.emit_call(out),
        }
    }

    fn emit_call(&self, out: &mut Vec<u8>) {
        match *self {
            Self::CallInitiate { call_id, attempt, max_tries } => {
                out.emit_u32(call_id);
                out.emit(&[attempt, max_tries, 0]);
            }
            Self::CallInitiateReply { call_id, ok, reason } => {
                out.emit_u32(call_id);
                out.emit(&[u8::from(ok), reason as u8]);
            }
            Self::CallAnswer { call_id } => out.emit_u32(call_id),
            Self::CallBusy { call_id, can_wait, ttw } => {
                out.emit_u32(call_id);
                out.emit_u8(u8::from(can_wait));
                out.emit_u16(ttw);
            }
            Self::CallWaitingReply { call_id, ok, ttw } => {
                out.emit_u32(call_id);
                out.emit_u8(u8::from(ok));
                out.emit_u16(ttw);
            }
            Self::CallTerminate { call_id, reason } => {
                out.emit_u32(call_id);
                out.emit_u8(reason as u8);
            }
            Self::CallWaiting { call_id, want: flag }
            | Self::CallTerminateReply { call_id, ok: flag }
            | Self::CallHold { call_id, on: flag } => {
                out.emit_u32(call_id);
                out.emit_u8(u8::from(flag));
            }
            _ => {}
        }
    }
}

fn parse_call(kind: u8, reader: &mut Reader<'_>) -> Result<Option<Frame>, Malformed> {
    let call_id = reader.u32()?;
    let frame = match kind {
        frame::CALL_INITIATE => {
            let [attempt, max_tries, _flags] = reader.array()?;
            skip_capabilities(reader)?;
            Frame::CallInitiate { call_id, attempt, max_tries }
        }
        frame::CALL_INITIATE_REPLY => {
            let ok = flag(reader)?;
            Frame::CallInitiateReply { call_id, ok, reason: Reason::from_wire(reader.u8()?) }
        }
        frame::CALL_ANSWER => {
            skip_capabilities(reader)?;
            Frame::CallAnswer { call_id }
        }
        frame::CALL_BUSY => Frame::CallBusy { call_id, can_wait: flag(reader)?, ttw: reader.u16()? },
        frame::CALL_WAITING => Frame::CallWaiting { call_id, want: flag(reader)? },
        frame::CALL_WAITING_REPLY => Frame::CallWaitingReply { call_id, ok: flag(reader)?, ttw: reader.u16()? },
        frame::CALL_TERMINATE => Frame::CallTerminate { call_id, reason: Reason::from_wire(reader.u8()?) },
        frame::CALL_TERMINATE_REPLY => Frame::CallTerminateReply { call_id, ok: flag(reader)? },
        _ => Frame::CallHold { call_id, on: flag(reader)? },
    };
    Ok(Some(frame))
}

fn parse_session(kind: u8, reader: &mut Reader<'_>) -> Result<Option<Frame>, Malformed> {
    let frame = match kind {
        frame::MEDIA_PARAMS => Frame::MediaParams {
            frame_ticks: reader.u8()?,
            max_kbps: reader.u16()?,
            mode: reader.u8()?,
            fec: flag(reader)?,
        },
        frame::REKEY_INIT => Frame::RekeyInit { epoch: reader.u32()?, key: reader.array()? },
        frame::REKEY_RESP => Frame::RekeyResp { epoch: reader.u32()?, key: reader.array()? },
        frame::REKEY_REQ => Frame::RekeyReq { epoch: reader.u32()? },
        frame::PATH_OFFER => Frame::PathOffer { addresses: parse_offer(reader)? },
        frame::VERIFY_COMMIT => Frame::VerifyCommit { commitment: reader.array()? },
        frame::VERIFY_NONCE => Frame::VerifyNonce { nonce: reader.array()? },
        frame::VERIFY_REVEAL => Frame::VerifyReveal { nonce: reader.array()? },
        frame::CLOSE => Frame::Close { reason: Reason::from_wire(reader.u8()?) },
        0 => return Err(Malformed::Kind),
        _ => return Ok(None),
    };
    Ok(Some(frame))
}

fn parse_unreliable(kind: u8, reader: &mut Reader<'_>) -> Result<Option<Frame>, Malformed> {
    let frame = match kind {
        frame::HEART_BEAT => Frame::HeartBeat {
            id: reader.u32()?,
            t_ms: reader.u32()?,
            media_sent: reader.u32()?,
            media_seq: reader.u32()?,
        },
        frame::HEART_BEAT_REPLY => {
            Frame::HeartBeatReply { id: reader.u32()?, t_ms: reader.u32()?, hold_ms: reader.u16()? }
        }
        frame::PATH_CHALLENGE => Frame::PathChallenge { data: reader.array()? },
        frame::PATH_RESPONSE => Frame::PathResponse { data: reader.array()? },
        frame::MEDIA_REPORT => Frame::MediaReport(parse_report(reader)?),
        _ => Frame::Pad { length: u16::try_from(reader.rest().len()).map_err(|_| Malformed::Length)? },
    };
    Ok(Some(frame))
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::Field),
    }
}

/// Capabilities are a list of (type 1, length 1, value). This version knows none: it checks their form only.
fn skip_capabilities(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    while reader.remaining() > 0 {
        let [_kind, length] = reader.array()?;
        reader.take(usize::from(length))?;
    }
    Ok(())
}

fn parse_offer(reader: &mut Reader<'_>) -> Result<Vec<SocketAddr>, Malformed> {
    let count = usize::from(reader.u8()?);
    if count > MAX_OFFERED {
        return Err(Malformed::Field);
    }
    (0..count).map(|_| address::parse(reader)).collect()
}

fn emit_offer(addresses: &[SocketAddr], out: &mut Vec<u8>) {
    let count = addresses.len().min(MAX_OFFERED);
    out.emit_u8(count as u8);
    addresses.iter().take(count).for_each(|address| address::emit(*address, out));
}

fn parse_report(reader: &mut Reader<'_>) -> Result<MediaReport, Malformed> {
    let report = MediaReport {
        highest_tick: reader.u32()?,
        received: reader.u32()?,
        lost_permille: reader.u16()?,
        jitter_ms: reader.u16()?,
        queue_ms: reader.u16()?,
        trend: reader.u16()?.cast_signed(),
        rx_rate: reader.u16()?,
    };
    reader.u16()?; // reserved
    Ok(report)
}

fn emit_report(report: &MediaReport, out: &mut Vec<u8>) {
    out.emit_u32(report.highest_tick);
    out.emit_u32(report.received);
    out.emit_u16(report.lost_permille);
    out.emit_u16(report.jitter_ms);
    out.emit_u16(report.queue_ms);
    out.emit_u16(report.trend.cast_unsigned());
    out.emit_u16(report.rx_rate);
    out.emit_u16(0);
}
