// SPDX-License-Identifier: GPL-3.0-or-later
//! A flood of HS_INIT at one daemon, by somebody who knows its ID: with forged senders from everywhere, and beside these
//! from a botnet whose senders are real, so that it can show cookies.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use dvsd::crypto::identity::{Identity, KeyKind};
use dvsd::crypto::kdf::{MacKey, sha256};
use dvsd::handshake::{ExpectResponse, Local, Mode};
use dvsd::id::NodeId;
use dvsd::random::Random;
use dvsd::wire::handshake::{Cookie, INIT_PADDED, MAC_LEN, Resp, SID_LEN, Sid, Versions};
use dvsd::wire::kind;
use dvsd::wire::session::Slot;
use nix::sys::prctl::set_timerslack;

use crate::capture::Datagram;
use crate::harness::wait_for;
use crate::netns::Elsewhere;

/// HS_INIT per second whose senders are forged, and whose mac1 is right.
pub const FORGED: u64 = 20_000;
/// HS_INIT per second whose senders are forged, and whose mac1 is not right.
const JUNK: u64 = 1_000;
/// Bots, each in a network of its own.
const BOTS: u64 = 200;
/// HS_INIT per second that all bots send without a cookie; each cookie they get is shown in a further one.
const BOT_INITS: u64 = 1_000;
/// HS_AUTH per second that were heard before.
const REPLAYS: u64 = 200;
/// Of the forged ones, every so many by IPv6.
const EVERY_V6: u64 = 8;
/// The bots are in the networks from this number on; the others are random ones below.
const BOT_NETWORKS: u32 = 0x10_0000;
/// Everybody's port.
const PORT: u16 = 5004;
/// Where in an HS_INIT its sid is.
const SID: core::ops::Range<usize> = 8..8 + SID_LEN;
/// How often the flood looks how much is due. In bursts it would leave pauses in which everybody comes through.
const STEP: Duration = Duration::from_micros(50);
/// At most so many of a kind at once, after a pause that was not planned: it is a flood, but no burst.
const MAX_AT_ONCE: u64 = 400;

/// Who is attacked.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its ID.
    pub id: NodeId,
    /// Its IPv4 address.
    pub v4: SocketAddr,
    /// Its IPv6 address.
    pub v6: SocketAddr,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// HS_INIT with the right mac1 and forged senders.
    pub forged: u64,
    /// HS_INIT with a wrong mac1.
    pub junk: u64,
    /// HS_INIT of bots without a cookie.
    pub asked: u64,
    /// HS_INIT of bots with a cookie that they had got.
    pub shown: u64,
    /// HS_RESP that bots got, and did not go on with.
    pub unfinished: u64,
    /// HS_AUTH sent again, or for another handshake.
    pub replayed: u64,
    /// For how long.
    pub took: Duration,
}

impl Tally {
    /// HS_INIT with the right mac1 per second.
    pub fn rate(&self) -> f64 {
        (self.forged + self.asked + self.shown) as f64 / self.took.as_secs_f64()
    }

    /// Everything sent.
    pub fn datagrams(&self) -> u64 {
        self.forged + self.junk + self.asked + self.shown + self.replayed
    }
}

/// A flood under way. Ends when dropped.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Tally>>>,
}

impl Flood {
    /// Makes an honest handshake, to have something to replay, and begins.
    pub fn start(elsewhere: Elsewhere, target: Target) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut attacker = Attacker::new(elsewhere, target)?;
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || attacker.run(&asked))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it, and tells what was sent.
    pub fn finish(mut self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended before")?;
        thread.join().map_err(|_| anyhow!("the flood panicked"))?
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Attacker {
    elsewhere: Elsewhere,
    target: Target,
    random: Random,
    mac1: MacKey,
    /// An HS_INIT to change.
    init: Vec<u8>,
    /// An HS_AUTH that was accepted, and who sent it.
    auth: (SocketAddr, Vec<u8>),
    tally: Tally,
}

impl Attacker {
    fn new(elsewhere: Elsewhere, target: Target) -> Result<Self> {
        let mut random = Random::seeded(0xd05);
        let mac1 = MacKey::new(&sha256(&[b"dvs1 mac1", &target.id.0]));
        let from = bot(BOTS);
        let handshake = ExpectResponse::start(target.id, Mode::Full, &mut random)?;
        let init = handshake.datagram().to_vec();
        let resp = wait_for(Duration::from_secs(8), "an answer to an honest stranger", || {
            elsewhere.send(from, target.v4, &init)?;
            std::thread::sleep(Duration::from_millis(250));
            Ok(core::iter::from_fn(|| elsewhere.receive()).find(|heard| is(heard, kind::HS_RESP)))
        })?;
        let identity = Identity::generate(KeyKind::P256, &mut random)?;
        let local = Local { identity: &identity, slot: Slot::Short(0), pin: None };
        let Ok(initiated) = handshake.read(&resp.payload, &local) else { bail!("a bad HS_RESP") };
        elsewhere.send(from, target.v4, &initiated.auth)?;
        Ok(Self { elsewhere, target, random, mac1, init, auth: (from, initiated.auth), tally: Tally::default() })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<Tally> {
        // Else the kernel would let it sleep longer than wanted.
        set_timerslack(1)?;
        let start = Instant::now();
        let mut sent = [0; 4];
        while !stop.load(Ordering::Relaxed) {
            let elapsed = start.elapsed();
            for (kind, rate) in [FORGED, JUNK, BOT_INITS, REPLAYS].into_iter().enumerate() {
                let due = elapsed.as_micros() as u64 * rate / 1_000_000;
                let sent = sent.get_mut(kind).context("four kinds")?;
                for number in (*sent..due).take(MAX_AT_ONCE as usize) {
                    self.send(kind, number)?;
                }
                *sent = due;
            }
            while let Some(heard) = self.elsewhere.receive() {
                self.answer(&heard)?;
            }
            std::thread::sleep(STEP);
        }
        self.tally.took = start.elapsed();
        Ok(self.tally)
    }

    fn send(&mut self, kind: usize, number: u64) -> Result<()> {
        match kind {
            0 => self.forge(number),
            1 => self.junk(),
            2 => self.ask(number),
            _ => self.replay(number),
        }
    }

    fn forge(&mut self, number: u64) -> Result<()> {
        self.tally.forged += 1;
        let network = self.random.below(BOT_NETWORKS.into()) as u32;
        let by_v6 = number.is_multiple_of(EVERY_V6);
        let (from, to) = match by_v6 {
            true => (SocketAddr::from((Elsewhere::v6(network), PORT)), self.target.v6),
            false => (SocketAddr::from((Elsewhere::v4(network), PORT)), self.target.v4),
        };
        let sid = self.random.bytes();
        let init = self.init(sid, &[0; MAC_LEN]);
        self.elsewhere.send(from, to, &init)
    }

    fn junk(&mut self) -> Result<()> {
        self.tally.junk += 1;
        let network = self.random.below(BOT_NETWORKS.into()) as u32;
        let sid = self.random.bytes();
        let mut init = self.init(sid, &[0; MAC_LEN]);
        init.truncate(INIT_PADDED - MAC_LEN);
        init.extend(self.random.bytes::<MAC_LEN>());
        self.elsewhere.send(SocketAddr::from((Elsewhere::v4(network), PORT)), self.target.v4, &init)
    }

    /// A bot asks for a cookie.
    fn ask(&mut self, number: u64) -> Result<()> {
        self.tally.asked += 1;
        let sid = number.to_be_bytes();
        let init = self.init(sid, &[0; MAC_LEN]);
        self.elsewhere.send(bot(number % BOTS), self.target.v4, &init)
    }

    /// What a bot does with an answer: it shows a cookie, but takes no handshake further than to a false HS_AUTH.
    fn answer(&mut self, heard: &Datagram) -> Result<()> {
        if !is_bot(heard.destination) {
            return Ok(());
        }
        let answer = if let Ok(Cookie { sid, cookie, .. }) = Cookie::parse(&heard.payload, Versions::OURS) {
            self.tally.shown += 1;
            self.init(sid, &cookie)
        } else if let Ok(resp) = Resp::parse(&heard.payload, Versions::OURS) {
            self.tally.unfinished += 1;
            self.tally.replayed += 1;
            let mut auth = self.auth.1.clone();
            auth.splice(4..4 + SID_LEN, resp.responder_sid);
            auth
        } else {
            return Ok(());
        };
        self.elsewhere.send(heard.destination, self.target.v4, &answer)
    }

    /// The HS_AUTH that was accepted, from where it came from and from elsewhere.
    fn replay(&mut self, number: u64) -> Result<()> {
        self.tally.replayed += 1;
        let from = if number.is_multiple_of(2) { self.auth.0 } else { bot(number % BOTS) };
        self.elsewhere.send(from, self.target.v4, &self.auth.1)
    }

    fn init(&self, sid: Sid, cookie: &[u8; MAC_LEN]) -> Vec<u8> {
        let mut init = self.init.clone();
        init.splice(SID, sid);
        init.truncate(INIT_PADDED - 2 * MAC_LEN);
        init.extend(cookie);
        let mac1 = self.mac1.short_tag(&[&init]);
        init.extend(mac1);
        init
    }
}

fn bot(number: u64) -> SocketAddr {
    SocketAddr::from((Elsewhere::v4(BOT_NETWORKS + number as u32), PORT))
}

fn is_bot(address: SocketAddr) -> bool {
    let network = |ip: Ipv4Addr| u64::from(ip.to_bits() >> 8 & 0x1f_ffff).checked_sub(BOT_NETWORKS.into());
    matches!(address, SocketAddr::V4(v4) if network(*v4.ip()).is_some_and(|number| number < BOTS))
}

fn is(heard: &Datagram, kind: u8) -> bool {
    heard.payload.first() == Some(&kind)
}
