// SPDX-License-Identifier: GPL-3.0-or-later
//! Somebody has recorded everything that two nodes ever sent and plays all of it again, in every state of theirs. What
//! users see, hear and are asked is the same as if nobody did.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::*;
use crate::handshake::{ExpectResponse, Mode};
use crate::wire::Layer;
use crate::wire::kind;

/// The two who talk; the first node of a network is the overlay.
const BOTH: [usize; 2] = [1, 2];
const ANNA: usize = 1;
const BERT: usize = 2;

/// A moment in the life of two nodes. All of them in a row are the whole of it.
struct Step {
    name: &'static str,
    live: fn(&mut Net),
    /// Whether nothing more happens by itself: then what can be seen must be the same with replays and without.
    settled: bool,
}

const fn settled(name: &'static str, live: fn(&mut Net)) -> Step {
    Step { name, live, settled: true }
}

const fn passing(name: &'static str, live: fn(&mut Net)) -> Step {
    Step { name, live, settled: false }
}

const LIFE: [Step; 27] = [
    settled("nobody has called", |net| net.run(Duration::from_secs(1))),
    settled("strangers have knocked", knock),
    passing("the peer is looked for", |net| {
        net.dial(ANNA, BERT);
        net.run(Duration::from_millis(5));
    }),
    passing("HS_INIT is under way", |net| until_flying(net, kind::HS_INIT)),
    passing("HS_COOKIE is under way", |net| until_flying(net, kind::HS_COOKIE)),
    passing("HS_RESP is under way", |net| until_flying(net, kind::HS_RESP)),
    passing("HS_AUTH is under way", |net| until_flying(net, kind::HS_AUTH)),
    settled("it rings", |net| net.run(Duration::from_secs(3))),
    passing("the answer is under way", |net| net.answer(BERT)),
    settled("they talk", talk),
    passing("the hold is under way", |net| hold(net, ANNA, true)),
    settled("one of them holds the call", |net| net.run(Duration::from_millis(500))),
    settled("both hold the call", |net| {
        hold(net, BERT, true);
        net.run(Duration::from_millis(500));
    }),
    settled("they talk again", |net| {
        BOTH.iter().for_each(|index| hold(net, *index, false));
        net.run(Duration::from_millis(500));
        talk(net);
    }),
    passing("words are being exchanged", |net| {
        let now = net.now;
        net.command(ANNA, |node| node.verify_start(None, now)).unwrap();
        net.run(Duration::from_millis(15));
    }),
    settled("words are shown", |net| net.run(Duration::from_secs(1))),
    settled("words were compared", |net| {
        let now = net.now;
        BOTH.iter().for_each(|index| {
            net.command(*index, |node| node.verify_done(None, true, now)).unwrap();
        });
        net.run(Duration::from_millis(100));
    }),
    passing("keys are replaced", |net| {
        while epochs(net) != [Some(1); 2] {
            net.run(Duration::from_millis(20))
        }
    }),
    settled("old keys are gone", |net| {
        net.hosts.iter_mut().for_each(|host| host.node.set_rekey_after(Duration::from_secs(900)));
        net.run(Duration::from_secs(7));
        talk(net);
    }),
    passing("one of them moves", |net| {
        move_away(net);
        net.run(Duration::from_millis(100));
    }),
    settled("one of them has moved", |net| {
        net.run(Duration::from_secs(15));
        talk(net);
    }),
    passing("the hang-up is under way", |net| hang_up(net, ANNA)),
    settled("the call is over", |net| net.run(Duration::from_secs(5))),
    settled("it rings the other way", |net| {
        net.dial(BERT, ANNA);
        net.run(Duration::from_secs(2));
    }),
    settled("that was declined", |net| {
        let now = net.now;
        net.command(ANNA, |node| node.decline(None, now)).unwrap();
        net.run(Duration::from_secs(5));
    }),
    passing("the session is being closed", |net| {
        while net.is_in_session() {
            net.run(Duration::from_millis(5))
        }
    }),
    settled("nothing is left", |net| net.run(Duration::from_secs(80))),
];

/// Two friends and a third node, all freshly started.
fn begin(seed: u64) -> Net {
    let mut net = Net::seeded(seed, 3, UnknownCallers::Ring);
    befriend(&mut net);
    net
}

/// The same behind NATs, with as many others as it takes to open those.
fn begin_behind_nats(seed: u64) -> Net {
    let mut net = Net::seeded(seed, 10, UnknownCallers::Ring);
    net.tape = Some(Vec::new());
    for index in BOTH {
        let outer = net.hosts[index].address.ip();
        move_behind(&mut net, index, outer, &format!("192.168.{index}.2:5004"));
        let first = net.hosts[0].address;
        net.input(index, Input::Bootstrap(&[first]));
    }
    net.run(Duration::from_secs(120));
    befriend(&mut net);
    net
}

fn befriend(net: &mut Net) {
    for (index, other) in [(ANNA, BERT), (BERT, ANNA)] {
        let (target, now) = (net.hosts[other].id().to_string(), net.now);
        net.command(index, |node| node.add_contact("Friend", &target, now)).unwrap();
    }
    net.hosts.iter_mut().for_each(|host| host.node.set_rekey_after(Duration::from_secs(20)));
    net.tape.get_or_insert_default();
}

/// `index` is at `inner` from now on, behind a router at `outer`.
fn move_behind(net: &mut Net, index: usize, outer: IpAddr, inner: &str) {
    net.hosts[index].gateway = Some(Gateway::new(Kind::Port, outer));
    arrive_at(net, index, inner);
}

fn arrive_at(net: &mut Net, index: usize, address: &str) {
    net.hosts[index].address = address.parse().unwrap();
    let local = net.hosts[index].address.ip();
    net.input(index, Input::NetworkChanged { local: &[local] });
}

fn move_away(net: &mut Net) {
    if net.hosts[ANNA].gateway.is_some() {
        move_behind(net, ANNA, "203.0.113.9".parse().unwrap(), "192.168.77.2:5004");
    } else {
        arrive_at(net, ANNA, "203.0.113.9:40000");
    }
}

impl Host {
    /// What others see of its address.
    fn outer(&self) -> IpAddr {
        self.gateway.as_ref().map_or(self.address.ip(), |gateway| gateway.outer)
    }
}

/// Somebody in the caller's network has begun a handshake, so that the callee asks that network for cookies; and
/// somebody speaks another version.
fn knock(net: &mut Net) {
    let init = |net: &Net| {
        let dial = ExpectResponse::start(net.hosts[BERT].id(), Mode::Full, &mut Random::seeded(7)).unwrap();
        dial.datagram().to_vec()
    };
    let mut anew = init(net);
    let neighbour = Path::direct(SocketAddr::new(net.hosts[ANNA].outer(), 9));
    net.input(BERT, Input::Datagram { from: neighbour, bytes: &mut anew });
    let mut other = init(net);
    other[1] = 9;
    let from = Path::direct(SocketAddr::new(net.hosts[ANNA].outer(), 5_004));
    net.input(BERT, Input::Datagram { from, bytes: &mut other });
    net.run(Duration::from_millis(500));
}

fn until_flying(net: &mut Net, kind: u8) {
    let end = net.now.mono + Duration::from_secs(3);
    while !net.flying.iter().any(|(.., datagram)| datagram[0] == kind) && net.now.mono < end {
        net.run(Duration::from_millis(1));
    }
}

fn talk(net: &mut Net) {
    net.run(Duration::from_millis(200));
    BOTH.iter().for_each(|index| net.speak(*index, 5));
    net.run(Duration::from_millis(100));
}

fn hold(net: &mut Net, index: usize, on: bool) {
    let now = net.now;
    net.command(index, |node| node.hold(None, Some(on), now)).unwrap();
}

fn hang_up(net: &mut Net, index: usize) {
    let now = net.now;
    net.command(index, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_millis(5));
}

fn epochs(net: &Net) -> [Option<u32>; 2] {
    BOTH.map(|index| net.hosts[index].node.session_stats(net.hosts[index].call().key).map(|stats| stats.epoch))
}

impl Net {
    fn is_in_session(&self) -> bool {
        BOTH.iter().all(|index| !self.hosts[*index].node.is_quiet())
    }
}

/// All that can be seen of the two, apart from counters of dropped datagrams and from what is drawn at random.
fn seen(net: &Net) -> Vec<String> {
    let of = |index: &usize| {
        let host = &net.hosts[*index];
        let calls =
            host.calls.values().map(|call| (call.number, call.state, call.cause, call.held_here, call.held_there));
        let calls: Vec<_> = calls.collect();
        let words: Vec<_> = host.verified.iter().map(|(call, state)| (*call, core::mem::discriminant(state))).collect();
        let key = host.calls.values().next().map(|call| call.key);
        let stats = key.and_then(|key| host.node.session_stats(key));
        let session = stats.map(|it| (it.epoch, it.path, it.path_changes, it.initiated, it.media_received));
        let (sound, heard) = (&host.sound, host.played.len());
        let told = (host.warnings, &host.unasked, &host.announced, host.looked_up.len(), host.presence.len());
        let node = &host.node;
        let contacts: Vec<_> =
            node.people().contacts().map(|contact| (contact.trust(), contact.last_address)).collect();
        let quiet = node.is_quiet();
        format!("{calls:?} {words:?} {session:?} {sound:?} {heard} {told:?} {contacts:?} quiet: {quiet}")
    };
    BOTH.iter().map(of).collect()
}

type Tape = Vec<(usize, SocketAddr, SocketAddr, Vec<u8>)>;

/// Plays all of `tape` again: to whom it was sent, from where it came, from where its sender is now, from somebody else's
/// address and from another port of its sender; and back to its sender.
fn replay(net: &mut Net, tape: &Tape) {
    let recording = net.tape.take();
    let elsewhere: SocketAddr = "192.0.2.66:6666".parse().unwrap();
    for (sender, from, to, datagram) in tape {
        let here = SocketAddr::new(net.hosts[*sender].outer(), from.port());
        let receiver = (0..net.hosts.len()).filter(|index| index != sender);
        let receiver = receiver.clone().find(|index| net.hosts[*index].outer() == to.ip());
        // Who has moved away gets it where he is.
        let receiver = receiver.unwrap_or(if *sender == ANNA { BERT } else { ANNA });
        let sources = BTreeSet::from([*from, here, elsewhere, SocketAddr::new(here.ip(), 7_777)]);
        for (index, source) in sources.into_iter().map(|source| (receiver, source)).chain([(*sender, *to)]) {
            net.input(index, Input::Datagram { from: Path::direct(source), bytes: &mut datagram.clone() });
        }
    }
    net.tape = recording;
}

/// What is played again, and when.
#[derive(Clone, Copy)]
enum Attack<'a> {
    Nothing,
    /// All that was sent so far.
    Own,
    /// All that was sent in another life, of other sessions between the same two.
    Other(&'a Tape),
}

type Log = Vec<(&'static str, Vec<String>)>;

/// The whole life of `net`, with an attack in each of its states. What was seen in those in which nothing goes on.
fn live(mut net: Net, attack: Attack<'_>) -> (Net, Log) {
    let mut log = Vec::new();
    for step in LIFE {
        (step.live)(&mut net);
        match attack {
            Attack::Nothing => {}
            Attack::Own => {
                let tape = net.tape.clone().unwrap();
                replay(&mut net, &tape);
            }
            Attack::Other(tape) => replay(&mut net, tape),
        }
        if step.settled {
            net.run(Duration::from_millis(300));
            log.push((step.name, seen(&net)));
        }
    }
    (net, log)
}

/// The tape of a life, and the kinds of its datagrams.
fn record(net: Net) -> (Tape, BTreeSet<u8>) {
    let tape = live(net, Attack::Nothing).0.tape.unwrap();
    let kinds = tape.iter().map(|(.., datagram)| datagram[0]).collect();
    (tape, kinds)
}

/// They can still call each other.
fn assert_well(net: &mut Net) {
    let heard = BOTH.map(|index| net.hosts[index].played.len());
    net.dial(ANNA, BERT);
    net.run(Duration::from_secs(5));
    net.answer(BERT);
    talk(net);
    assert_eq!(BOTH.map(|index| net.hosts[index].played.len()), heard.map(|heard| heard + 5));
}

/// Lives that begin as `begin` says look the same with and without everything being played again.
fn assert_unmoved(begin: fn(u64) -> Net) {
    let (_, plain) = live(begin(1), Attack::Nothing);
    let (mut net, attacked) = live(begin(1), Attack::Own);
    plain.iter().zip(&attacked).for_each(|(plain, attacked)| assert_eq!(plain, attacked));
    assert_well(&mut net);
}

fn assert_unmoved_by_another(begin: fn(u64) -> Net) {
    let (tape, _) = record(begin(1));
    let (_, plain) = live(begin(2), Attack::Nothing);
    let (mut net, attacked) = live(begin(2), Attack::Other(&tape));
    plain.iter().zip(&attacked).for_each(|(plain, attacked)| assert_eq!(plain, attacked));
    assert_well(&mut net);
}

#[test]
fn a_whole_life_has_messages_of_every_kind_and_is_seen_as_it_should_be() {
    let (net, log) = live(begin(1), Attack::Nothing);
    let last = log.last().unwrap();
    assert_eq!(last.1.iter().filter(|seen| seen.ends_with("quiet: true")).count(), 2, "{last:?}");
    assert_eq!(net.hosts[BERT].played.len(), 20);
    let (tape, kinds) = record(begin(1));
    let (more, behind_nats) = record(begin_behind_nats(1));
    assert!(tape.iter().chain(&more).all(|(.., datagram)| Layer::of(datagram).is_ok()));
    let handshake = [kind::HS_INIT, kind::HS_RESP, kind::HS_AUTH, kind::HS_COOKIE, kind::HS_VERSION];
    assert!(handshake.iter().all(|kind| kinds.contains(kind)), "{kinds:x?}");
    // Media and control packets of even and of odd epochs.
    assert!([0x80, 0xc0, 0xa0, 0xe0].iter().all(|bits| kinds.iter().any(|kind| kind & 0xe0 == *bits)), "{kinds:x?}");
    let overlay = (kind::ROUTE_REQ..=kind::PROOF).chain(kind::PUNCH_REQ..=kind::PUNCH_ACK);
    let missing: Vec<u8> = overlay.filter(|kind| !kinds.contains(kind) && !behind_nats.contains(kind)).collect();
    assert_eq!(missing, [], "{kinds:x?} {behind_nats:x?}");
}

#[test]
fn f03_f09_n02_every_message_replayed_in_every_state_of_the_same_life_changes_nothing() {
    assert_unmoved(begin);
}

#[test]
fn f03_f09_n02_every_message_of_another_life_replayed_in_every_state_changes_nothing() {
    assert_unmoved_by_another(begin);
}

#[test]
fn f03_f09_n02_every_message_between_two_nats_replayed_in_every_state_changes_nothing() {
    assert_unmoved(begin_behind_nats);
    assert_unmoved_by_another(begin_behind_nats);
}
