// SPDX-License-Identifier: GPL-3.0-or-later
//! Who reaches whom through home routers: calls between daemons behind every pair of the kinds of NAT there are. Needs
//! root, for network namespaces, and nftables.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use std::io::Write as _;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use dvs_proto::message::EndReason;
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::netns::{Host, Household, Internet, Nat, is_open_by_ipv6, nat_available_or_skipped, probe};
use dvs_tests::trio::Party;
use dvs_tests::usage::Traffic;

/// Joining the overlay takes at most this long.
const JOINING: Duration = Duration::from_secs(20);
/// What a node does because it has joined is over after at most this long.
const SETTLING: Duration = Duration::from_secs(90);
/// So many datagrams in two seconds are no search.
const QUIET: u64 = 6;
/// A call has rung or failed after at most this long.
const CALLING: Duration = Duration::from_secs(45);
/// Who was just called is not called again for so long.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(1_500);
/// Everybody's port.
const PORT: u16 = 5004;
/// Where the public nodes are: networks with nothing in common, as the kind of a NAT is told by nodes of different ones.
const PUBLIC: [Ipv4Addr; 6] = [
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(203, 0, 113, 1),
    Ipv4Addr::new(198, 19, 1, 1),
    Ipv4Addr::new(198, 18, 250, 1),
    Ipv4Addr::new(192, 52, 193, 1),
];

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It rang, after this long.
    Direct(Duration),
    /// It ended for this reason, after this long.
    Ended(EndReason, Duration),
}

impl Outcome {
    /// Whether this is what has to come of a call between routers of these kinds.
    fn is_right(&self, caller: Nat, callee: Nat) -> bool {
        match self {
            Self::Direct(_) => !needs_relay(caller, callee),
            Self::Ended(why, _) => needs_relay(caller, callee) && *why == EndReason::NeedsRelay,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, after) = match self {
            Self::Direct(after) => ("direct".to_owned(), after),
            Self::Ended(EndReason::NeedsRelay, after) => ("needs relay".to_owned(), after),
            Self::Ended(why, after) => (format!("{why:?}"), after),
        };
        f.pad(&format!("{what}, {:.1} s", after.as_secs_f64()))
    }
}

/// One has a new port for every destination, and the other lets nobody in but from the port it knows.
fn needs_relay(caller: Nat, callee: Nat) -> bool {
    let strict = |nat| matches!(nat, Nat::Symmetric | Nat::PortRestricted);
    [caller, callee].contains(&Nat::Symmetric) && strict(caller) && strict(callee)
}

/// Shown even when the test passes: not by a macro, whose output would not be.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The public nodes and all households.
struct World {
    public: Vec<Host>,
    /// IPv4 only, one behind each kind of NAT.
    callers: Vec<Household>,
    /// As the callers.
    callees: Vec<Household>,
    /// As these, but with IPv6 as well.
    dual: Vec<Household>,
    /// Behind a symmetric NAT, with IPv6.
    six: Household,
    _internet: Internet,
}

impl World {
    fn new() -> Self {
        let mut internet = Internet::new().unwrap();
        let public = PUBLIC.iter().map(|address| internet.host_at(*address).unwrap()).collect();
        let mut row = |ipv6| -> Vec<Household> {
            Nat::ALL.iter().map(|nat| Household::new(&mut internet, *nat, ipv6).unwrap()).collect()
        };
        let [callers, callees, dual] = [row(false), row(false), row(true)];
        let six = Household::new(&mut internet, Nat::Symmetric, true).unwrap();
        Self { public, callers, callees, dual, six, _internet: internet }
    }

    fn households(&self) -> impl Iterator<Item = &Household> {
        self.callers.iter().chain(&self.callees).chain(&self.dual).chain([&self.six])
    }

    /// Nobody in a household has anything to do with another one, until the first call.
    fn estrange(&self) {
        for household in self.households() {
            household.estrange(self.households()).unwrap();
        }
    }

    /// Tries out every router and says what it does.
    fn prove(&self) {
        show("\nwhat the routers do, by plain UDP sockets\n");
        show(&format!("  {:<20} {:<20} {:<20} {}", "NAT", "mapping", "filtering", "outer port of 5006"));
        let pair = [&self.public[0], &self.public[1]];
        for household in self.households() {
            let behaviour = probe(household, pair).unwrap();
            let (mapping, filtering) = (format!("{:?}", behaviour.mapping), format!("{:?}", behaviour.filtering));
            let name = household.nat.name();
            show(&format!("  {name:<20} {mapping:<20} {filtering:<20} {}", behaviour.outer.port()));
            assert!(behaviour.is(household.nat), "this is no {name} NAT: {behaviour:?}");
        }
        let with_ipv6 = || self.dual.iter().chain([&self.six]);
        assert!(with_ipv6().all(|household| is_open_by_ipv6(household, pair).unwrap()));
        show(&format!(
            "  {} of them have IPv6 as well: no other address outside, open to everybody",
            with_ipv6().count()
        ));
    }
}

/// All daemons, in the order of [`World`].
struct Daemons {
    public: Vec<Party>,
    callers: Vec<Party>,
    callees: Vec<Party>,
    dual: Vec<Party>,
    six: Party,
}

impl Daemons {
    fn start(world: &World) -> Self {
        let seed = &world.public[0];
        let seeds = |ipv6: bool| -> Vec<SocketAddr> {
            [seed.at(PORT)].into_iter().chain(ipv6.then(|| seed.at_v6(PORT))).collect()
        };
        let everywhere = SocketAddr::from((core::net::Ipv6Addr::UNSPECIFIED, PORT));
        let setup = |bootstrap| Setup { bootstrap, unknown_callers: "silent", ..Setup::new(everywhere) };
        let first = Daemon::start_on(seed, "the bootstrap node", &setup(Vec::new())).unwrap();
        let public =
            world.public[1..].iter().map(|host| Daemon::launch_on(host, "public", &setup(seeds(true))).unwrap());
        let public: Vec<Daemon> = [first].into_iter().chain(public).collect();
        let row = |households: &[Household], ipv6: bool| -> Vec<Daemon> {
            let launch =
                |home: &Household| Daemon::launch_on(&home.inside, home.nat.name(), &setup(seeds(ipv6))).unwrap();
            households.iter().map(launch).collect()
        };
        let [callers, callees] = [&world.callers, &world.callees].map(|homes| row(homes, false));
        let [dual, mut six] = [&world.dual, core::slice::from_ref(&world.six)].map(|homes| row(homes, true));
        let [public, callers, callees, dual, mut six] = [public, callers, callees, dual, core::mem::take(&mut six)]
            .map(|daemons| daemons.into_iter().map(|daemon| Party::attach(daemon).unwrap()).collect::<Vec<_>>());
        Self { public, callers, callees, dual, six: six.remove(0) }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Party> {
        let rows = [&mut self.public, &mut self.callers, &mut self.callees, &mut self.dual];
        rows.into_iter().flatten().chain([&mut self.six])
    }

    /// Waits until everybody knows all the public nodes and has stopped to look for more: who still does may just send
    /// something to a stranger at the moment of his call, and so let him in.
    fn wait_until_joined(&mut self) {
        let public = PUBLIC.len() as u32 - 1;
        for party in self.all() {
            party.handset.wait_for_network(JOINING, |network| network.online && network.good >= public).unwrap();
        }
        let pids: Vec<u32> = self.all().map(|party| party.daemon.pid()).collect();
        let sent = || pids.iter().map(|pid| Ok(Traffic::of(*pid)?.sent)).collect::<anyhow::Result<Vec<u64>>>();
        wait_for(SETTLING, "everybody to be quiet", || {
            let before = sent()?;
            std::thread::sleep(Duration::from_secs(2));
            let most = sent()?.iter().zip(before).map(|(after, before)| after - before).max();
            Ok(most.is_some_and(|most| most <= QUIET).then_some(()))
        })
        .unwrap();
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        self.all().for_each(|party| party.daemon.ask_to_end());
    }
}

/// Calls `target` and hangs up as soon as it rings.
fn call(handset: &mut Handset, target: &str) -> Outcome {
    let knock = handset.knock(target, CALLING).unwrap();
    match knock.failed {
        None => Outcome::Direct(knock.took),
        Some(why) => Outcome::Ended(why, knock.took),
    }
}

/// A household and its daemon, which calls.
type Caller<'a> = (&'a Household, &'a mut Party);
/// A household and the ID of its daemon, which is called.
type Callee<'a> = (&'a Household, String);

fn pairs<'a>(households: &'a [Household], parties: &'a mut [Party]) -> Vec<Caller<'a>> {
    households.iter().zip(parties).collect()
}

fn callees<'a>(households: &'a [Household], parties: &mut [Party]) -> Vec<Callee<'a>> {
    let id = |party: &mut Party| party.handset.id().unwrap();
    households.iter().zip(parties).map(|(household, party)| (household, id(party))).collect()
}

/// Every caller calls every callee, all callers at the same time and nobody twice at once. Row by row.
fn call_everybody(callers: Vec<Caller<'_>>, callees: &[Callee<'_>]) -> Vec<Vec<Outcome>> {
    let turn = &Barrier::new(callers.len());
    std::thread::scope(|scope| {
        let one = |(row, caller)| scope.spawn(move || call_in_turn(caller, row, callees, turn));
        let threads: Vec<_> = callers.into_iter().enumerate().map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn call_in_turn((home, caller): Caller<'_>, row: usize, callees: &[Callee<'_>], turn: &Barrier) -> Vec<Outcome> {
    let call_one = |round: usize| {
        // Nobody lets a neighbour send him a second stranger within a second.
        std::thread::sleep(BETWEEN_ROUNDS);
        turn.wait();
        // So ordered, those that will not reach each other try at the same time.
        let column = row ^ round;
        let (callee, id) = &callees[column];
        home.acquaint(callee).unwrap();
        (column, call(&mut caller.handset, id))
    };
    let mut outcomes: Vec<(usize, Outcome)> = (0..callees.len()).map(call_one).collect();
    outcomes.sort_by_key(|(column, _)| *column);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Prints a table with a column for each kind of NAT.
fn print(title: &str, rows: &[(&str, Vec<Outcome>)]) {
    show(&format!("\n{title}\n"));
    let heads: String = Nat::ALL.iter().map(|nat| format!("{:<20}", nat.name())).collect();
    show(&format!("  {:<20} {heads}", ""));
    for (name, outcomes) in rows {
        let cells: String = outcomes.iter().map(|outcome| format!("{outcome:<20}")).collect();
        show(&format!("  {name:<20} {cells}"));
    }
}

#[test]
fn all_but_symmetric_with_symmetric_or_port_restricted_call_each_other_directly() {
    if !nat_available_or_skipped("all_but_symmetric_with_symmetric_or_port_restricted_call_each_other_directly") {
        return;
    }
    let start = Instant::now();
    let world = World::new();
    world.prove();
    world.estrange();
    let mut daemons = Daemons::start(&world);
    daemons.wait_until_joined();
    show(&format!(
        "\n{} nodes have joined {:.1} s after the start",
        daemons.all().count(),
        start.elapsed().as_secs_f64()
    ));

    let called = callees(&world.callees, &mut daemons.callees);
    let table = call_everybody(pairs(&world.callers, &mut daemons.callers), &called);
    let rows: Vec<_> = Nat::ALL.iter().map(|nat| nat.name()).zip(table.iter().cloned()).collect();
    print("who calls whom, IPv4 only: rows call columns", &rows);

    let [six, dual] = [core::slice::from_ref(&world.six), &world.dual];
    let called = callees(dual, &mut daemons.dual);
    let there = call_everybody(pairs(six, core::slice::from_mut(&mut daemons.six)), &called).remove(0);
    let called = callees(six, core::slice::from_mut(&mut daemons.six));
    let back: Vec<Outcome> = daemons.dual.iter_mut().map(|party| call(&mut party.handset, &called[0].1)).collect();
    let rows = [("symmetric, calling", there.clone()), ("symmetric, called", back.clone())];
    print("with IPv6 without NAT on both sides as well", &rows);
    let [caller, callee] = [&mut daemons.callers, &mut daemons.callees].map(|row| row.last_mut().unwrap());
    let said = caller.daemon.verb(&["lookup", &callee.handset.id().unwrap()]).unwrap();
    show(&format!("\nwhat the user is told between two symmetric NATs: {}", said.stderr.trim()));
    show(&format!("\n{:.1} s in all\n", start.elapsed().as_secs_f64()));

    let mut wrong = Vec::new();
    if said.code == Some(0) || !said.stderr.contains("relay") {
        wrong.push(format!("the user is told: {said:?}"));
    }
    for (caller, row) in Nat::ALL.iter().zip(&table) {
        for (callee, outcome) in Nat::ALL.iter().zip(row) {
            if !outcome.is_right(*caller, *callee) {
                wrong.push(format!("{} calls {}: {outcome}", caller.name(), callee.name()));
            }
        }
    }
    for (direction, row) in [("calls", there), ("is called by", back)] {
        for (other, outcome) in Nat::ALL.iter().zip(row) {
            if !matches!(outcome, Outcome::Direct(_)) {
                wrong.push(format!("with IPv6, symmetric {direction} {}: {outcome}", other.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "not as it has to be:\n{}", wrong.join("\n"));
}
