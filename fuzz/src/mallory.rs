// SPDX-License-Identifier: GPL-3.0-or-later
//! A stranger who speaks the protocol perfectly and means no good: completes handshakes with as many identities as
//! she likes, and seals whatever she is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dvsd::crypto::identity::Identity;
use dvsd::crypto::kdf::{MacKey, sha256};
use dvsd::crypto::seal::{EpochKeys, OpeningKey, SealingKey, Stream};
use dvsd::handshake::{Established, ExpectAuth, ExpectResponse, Initiated, Local, Mode};
use dvsd::id::NodeId;
use dvsd::random::Random;
use dvsd::wire::control::{Frame, is_reliable};
use dvsd::wire::handshake::{Cookie, Init, MAC_LEN, Resp, Versions};
use dvsd::wire::kind;
use dvsd::wire::routing::{Entry, MAX_ENTRIES, Message, Packet, Token};
use dvsd::wire::session::{Ack, Header, Slot, parse_control};

use crate::script::change;

/// How many addresses she has; they differ in their ports.
pub const ADDRESSES: u16 = 4;
/// How many identities she has.
const IDENTITIES: u8 = 4;
/// What packets to her carry.
const SLOT: Slot = Slot::Short(9);

/// A datagram and where it is sent from.
pub type Sent = (SocketAddr, Vec<u8>);

/// One session of hers with Bob.
pub struct Tunnel {
    /// Where it was made from.
    pub address: SocketAddr,
    peer_slot: Slot,
    seal_control: SealingKey,
    seal_media: SealingKey,
    open_control: OpeningKey,
    control_seq: u32,
    media_seq: u32,
    next_number: u16,
    heard: Ack,
}

/// Mallory.
pub struct Mallory {
    bob: NodeId,
    random: Random,
    dialled: BTreeMap<SocketAddr, (u8, ExpectResponse)>,
    answered: BTreeMap<SocketAddr, ExpectAuth>,
    /// Her sessions, the latest last.
    pub tunnels: Vec<Tunnel>,
    inbox: Vec<(SocketAddr, Vec<u8>)>,
}

/// Her address of this number.
pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 18, 3, 1], 5004 + u16::from(number) % ADDRESSES))
}

/// Whether an address is hers.
pub fn is_at(address: SocketAddr) -> bool {
    (0..ADDRESSES as u8).any(|number| self::address(number) == address)
}

/// Her identity of this number.
pub fn identity(number: u8) -> Identity {
    Identity::from_ed25519_seed(&[100 + number % IDENTITIES; 32]).expect("any seed is a key")
}

impl Mallory {
    /// She wants to annoy `bob`.
    pub fn new(bob: NodeId) -> Self {
        let random = Random::seeded(666);
        let (dialled, answered) = (BTreeMap::new(), BTreeMap::new());
        Self { bob, random, dialled, answered, tunnels: Vec::new(), inbox: Vec::new() }
    }

    /// A datagram reaches her at `at`.
    pub fn take(&mut self, at: SocketAddr, datagram: Vec<u8>) {
        self.inbox.push((at, datagram));
    }

    /// Begins a handshake as one of her identities.
    pub fn knock(&mut self, number: u8) -> Sent {
        let at = address(number / IDENTITIES);
        let state = ExpectResponse::start(self.bob, Mode::Full, &mut self.random).expect("a key can be made");
        let datagram = state.datagram().to_vec();
        self.dialled.insert(at, (number % IDENTITIES, state));
        (at, datagram)
    }

    /// An HS_INIT, changed, whose sender knows Bob's ID all the same.
    pub fn changed_init(&mut self, changes: &[u8]) -> Vec<u8> {
        let state = ExpectResponse::start(self.bob, Mode::Full, &mut self.random).expect("a key can be made");
        let mut datagram = state.datagram().to_vec();
        change(&mut datagram, changes);
        datagram.truncate(datagram.len().saturating_sub(MAC_LEN));
        let key = MacKey::new(&sha256(&[b"dvs1 mac1", &self.bob.0]));
        let mac = key.short_tag(&[&datagram]);
        datagram.extend_from_slice(&mac);
        datagram
    }

    /// Answers all that has reached her. `claims`: the nodes she tells of, three bytes each.
    pub fn react(&mut self, claims: &[u8]) -> Vec<Sent> {
        let inbox = std::mem::take(&mut self.inbox);
        inbox.into_iter().filter_map(|(at, datagram)| Some((at, self.answer(at, datagram, claims)?))).collect()
    }

    fn answer(&mut self, at: SocketAddr, mut datagram: Vec<u8>, claims: &[u8]) -> Option<Vec<u8>> {
        match *datagram.first()? {
            kind::HS_INIT => self.answer_init(at, &datagram),
            kind::HS_RESP => self.answer_resp(at, &datagram),
            kind::HS_AUTH => {
                let established = self.answered.remove(&at)?.read(&datagram).ok()?;
                self.tunnels.push(Tunnel::new(at, established));
                None
            }
            kind::HS_COOKIE => {
                let cookie = Cookie::parse(&datagram, Versions::OURS).ok()?;
                let (_, state) = self.dialled.get_mut(&at)?;
                state.show_cookie(&cookie.cookie);
                Some(state.datagram().to_vec())
            }
            kind::SESSION.. => {
                let tunnel = self.tunnels.iter_mut().rfind(|tunnel| tunnel.address == at)?;
                let replies = tunnel.read(&mut datagram)?;
                Some(tunnel.seal_text(&replies))
            }
            _ => answer_request(&Packet::parse(&datagram).ok()?, claims),
        }
    }

    fn answer_init(&mut self, at: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let init = Init::parse(datagram, Versions::OURS).ok()?;
        let (state, resp) = ExpectAuth::respond(&init, &identity(0), SLOT, Versions::OURS, &mut self.random).ok()?;
        self.answered.insert(at, state);
        Some(resp)
    }

    fn answer_resp(&mut self, at: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        Resp::parse(datagram, Versions::OURS).ok()?;
        let (number, state) = self.dialled.remove(&at)?;
        let identity = identity(number);
        match state.read(datagram, &Local { identity: &identity, slot: SLOT, pin: None }) {
            Ok(Initiated { established, auth }) => {
                self.tunnels.push(Tunnel::new(at, established));
                Some(auth)
            }
            Err(refused) => {
                self.dialled.insert(at, (number, *refused.state?));
                None
            }
        }
    }
}

impl Tunnel {
    fn new(address: SocketAddr, established: Established) -> Self {
        let EpochKeys { seal_control, seal_media, open_control, .. } =
            established.secret.into_keys(established.side.sending());
        Self {
            address,
            peer_slot: established.peer_slot,
            seal_control,
            seal_media,
            open_control,
            control_seq: 0,
            media_seq: 0,
            next_number: 0,
            heard: Ack::default(),
        }
    }

    /// Opens a control packet; returns the text of the answer: what is acknowledged, and the replies to heartbeats.
    fn read(&mut self, datagram: &mut [u8]) -> Option<Vec<u8>> {
        let header = Header::parse(datagram).ok().filter(|header| header.control)?;
        let (aad, rest) = datagram.split_at_mut(Header::length(header.slot));
        let (tag, text) = rest.split_at_mut_checked(Stream::Control.tag_len())?;
        if !self.open_control.open(header.seq, aad, text, tag) {
            return None;
        }
        let (_, frames) = parse_control(text).expect("Bob writes what can be read");
        let mut replies = Vec::new();
        for frame in frames {
            let raw = frame.expect("Bob writes what can be read");
            if let Some(number) = raw.number {
                self.heard.next = self.heard.next.max(number.wrapping_add(1));
            }
            if let Ok(Some(Frame::HeartBeat { id, t_ms, .. })) = Frame::parse(raw.kind, raw.body) {
                let reply = Frame::HeartBeatReply { id, t_ms, hold_ms: 0 };
                let mut body = Vec::new();
                reply.emit_body(&mut body);
                write_frame(reply.kind(), None, &body, &mut replies);
            }
        }
        let mut text = Vec::new();
        self.heard.emit(&mut text);
        text.extend(replies);
        Some(text)
    }

    /// A control packet with one frame, numbered if its type asks for it.
    pub fn seal_frame(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let number = is_reliable(kind).then_some(self.next_number);
        self.next_number = self.next_number.wrapping_add(u16::from(number.is_some()));
        let mut text = Vec::new();
        self.heard.emit(&mut text);
        write_frame(kind, number, body, &mut text);
        self.seal_text(&text)
    }

    /// A control packet with this text.
    pub fn seal_text(&mut self, text: &[u8]) -> Vec<u8> {
        let header = Header { control: true, parity: false, slot: self.peer_slot, seq: self.control_seq };
        self.control_seq += 1;
        seal(&mut self.seal_control, Stream::Control, header, text)
    }

    /// A media packet, `step` ticks after the last one.
    pub fn seal_media(&mut self, step: u8, payload: &[u8]) -> Vec<u8> {
        self.media_seq = self.media_seq.saturating_add(match step {
            0..=200 => u32::from(step) + 1,
            _ => 1 << (step - 200).min(20),
        });
        let header = Header { control: false, parity: false, slot: self.peer_slot, seq: self.media_seq };
        seal(&mut self.seal_media, Stream::Media, header, payload)
    }
}

fn seal(key: &mut SealingKey, stream: Stream, header: Header, text: &[u8]) -> Vec<u8> {
    let front = Header::length(header.slot);
    let mut datagram = vec![0; front + stream.tag_len()];
    datagram.extend_from_slice(text);
    header.write(&mut datagram).expect("there is room");
    let (aad, rest) = datagram.split_at_mut(front);
    let (tag, text) = rest.split_at_mut(stream.tag_len());
    // Past the last sequence number nothing can be sealed; the packet is then not authentic, which is allowed.
    let _ = key.seal(header.seq, aad, text, tag);
    datagram
}

fn write_frame(kind: u8, number: Option<u16>, body: &[u8], out: &mut Vec<u8>) {
    let number = number.map(u16::to_be_bytes);
    let number = number.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    out.push(kind);
    out.extend(((number.len() + body.len()) as u16).to_be_bytes());
    out.extend_from_slice(number);
    out.extend_from_slice(body);
}

/// As a node of the overlay she is polite, but what she tells need not be true.
fn answer_request(packet: &Packet, claims: &[u8]) -> Option<Vec<u8>> {
    let (responder, token) = (identity(0).public().id(), Token([7; 8]));
    let observed = SocketAddr::from(([198, 18, 1, 1], 5004));
    let message = match packet.message {
        Message::RouteReq { target, .. } => {
            let entries = claims.chunks_exact(3).take(MAX_ENTRIES).map(claim).collect();
            Message::RouteRes { responder, target, token, observed, entries }
        }
        Message::Ping { .. } => Message::Pong { responder, token, observed },
        _ => return None,
    };
    Some(Packet { flags: 0, caps: 0, txid: packet.txid, message }.emit())
}

fn claim(bytes: &[u8]) -> Entry {
    let [id, net, caps] = [bytes[0], bytes[1], bytes[2]];
    let address = match caps >> 6 {
        0 | 1 => SocketAddr::from(([198, 18, net, 1], 5004)),
        2 => SocketAddr::from(([0x2001, 0xdb8, u16::from(net), 0, 0, 0, 0, 1], 5004)),
        _ => SocketAddr::from(([net, 0, 0, 1], 80)),
    };
    Entry { caps: caps & 0x1f, id: NodeId([id; 20]), address }
}
