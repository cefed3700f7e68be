// SPDX-License-Identifier: GPL-3.0-or-later
//! An overlay of 64 real daemons, each in a network of its own: what it costs to be in it, whether everybody finds
//! everybody, and who notices when many of them die at once. Needs root, for network namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::net::{Ipv6Addr, SocketAddr};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dvs_proto::message::EndReason;
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::netns::{Host, Internet, available_or_skipped};
use dvs_tests::trio::Party;
use dvs_tests::usage::{Reading, Traffic, proportional, resident};
use serde_json::{Value, json};

/// How many daemons there are.
const NODES: usize = 64;
/// Whom everybody joins through.
const BOOTSTRAP: usize = 0;
/// How many die at once.
const VICTIMS: usize = 20;
/// Lookups in the whole overlay.
const LOOKUPS: usize = 200;
/// Lookups after each disaster.
const LOOKUPS_AFTER: usize = 100;
/// So many call at the same time.
const CALLERS_AT_ONCE: usize = 4;
/// Everybody has joined after at most this long.
const JOINING: Duration = Duration::from_secs(60);
/// What joining sets off, searches and proofs of who somebody is, is over after at most this long.
const SETTLING: Duration = Duration::from_secs(120);
/// How long traffic is counted to tell whether it is over.
const LOOK: Duration = Duration::from_secs(5);
/// Then a node sends fewer datagrams per second than this. One per 25 s to each of four neighbours, and the answers to as
/// many, are 0.32.
const QUIET: f64 = 0.45;
/// How long the idle overlay is watched.
const IDLE: Duration = Duration::from_secs(60);
/// The longest a lookup and the first words with the peer may take when a third of the overlay has just died.
const LOOKUP_LIMIT: Duration = Duration::from_secs(3);
/// The longest wait for a call to come to anything.
const CALLING: Duration = Duration::from_secs(45);
/// Processor time that an idle daemon may use on average, in milliseconds per second.
const CPU_LIMIT: f64 = 0.3;
/// Datagrams per second that an idle daemon may send and receive on average.
const TRAFFIC_LIMIT: f64 = 1.0;

/// Shown even when the test passes: not by a macro, whose output would not be.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A random generator for whom to call: the same in every run.
struct Dice(u64);

impl Dice {
    /// A number below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// A living node.
struct Node {
    number: usize,
    id: String,
    party: Party,
}

/// All living nodes.
struct Overlay {
    nodes: Vec<Node>,
    hosts: Vec<Host>,
    _internet: Internet,
}

fn setup(bootstrap: Option<&Host>) -> Setup {
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5004));
    let bootstrap = bootstrap.map(|host| host.at(5004)).into_iter().collect();
    Setup { bootstrap, unknown_callers: "silent", ..Setup::new(everywhere) }
}

impl Overlay {
    /// Starts the bootstrap node and then everybody else at the same time.
    fn start() -> Self {
        let mut internet = Internet::new().unwrap();
        let hosts: Vec<Host> = (0..NODES).map(|_| internet.host().unwrap()).collect();
        let first = Daemon::start_on(&hosts[BOOTSTRAP], "node 0", &setup(None)).unwrap();
        let joining = setup(Some(&hosts[BOOTSTRAP]));
        let launch = |number: usize| Daemon::launch_on(&hosts[number], &format!("node {number}"), &joining).unwrap();
        let daemons: Vec<Daemon> = [first].into_iter().chain((1..NODES).map(launch)).collect();
        let attach = |(number, daemon)| {
            let mut party = Party::attach(daemon).unwrap();
            Node { number, id: party.handset.id().unwrap(), party }
        };
        let nodes = daemons.into_iter().enumerate().map(attach).collect();
        Self { nodes, hosts, _internet: internet }
    }

    /// Waits until everybody knows many others; returns how many the least and the average know.
    fn wait_until_joined(&mut self) -> (u32, f64) {
        let enough = NODES as u32 / 4;
        let known = |node: &mut Node| {
            node.party.handset.wait_for_network(JOINING, |network| network.online && network.good >= enough).unwrap();
        };
        self.nodes.iter_mut().for_each(known);
        let good = self.nodes.iter_mut().map(|node| node.party.handset.snapshot().unwrap().network.good);
        let good: Vec<u32> = good.collect();
        (*good.iter().min().unwrap(), f64::from(good.iter().sum::<u32>()) / good.len() as f64)
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.party.daemon.pid()).collect()
    }

    /// Waits until what joining sets off is over.
    fn wait_until_quiet(&self) {
        let sent = || -> anyhow::Result<u64> {
            let each: anyhow::Result<Vec<u64>> = self.pids().iter().map(|pid| Ok(Traffic::of(*pid)?.sent)).collect();
            Ok(each?.iter().sum())
        };
        wait_for(SETTLING, "the overlay to be quiet", || {
            let before = sent()?;
            std::thread::sleep(LOOK);
            let rate = (sent()? - before) as f64 / LOOK.as_secs_f64() / NODES as f64;
            Ok((rate < QUIET).then_some(()))
        })
        .unwrap();
    }

    /// Watches everybody do nothing.
    fn idle(&self) -> Idle {
        let pids = self.pids();
        let readings = || -> Vec<(Reading, Traffic)> {
            pids.iter().map(|pid| (Reading::of(*pid).unwrap(), Traffic::of(*pid).unwrap())).collect()
        };
        let (start, before) = (Instant::now(), readings());
        std::thread::sleep(IDLE);
        let (after, seconds) = (readings(), start.elapsed().as_secs_f64());
        let cpu = before.iter().zip(&after).map(|((before, _), (after, _))| after.total_since(before)).collect();
        let traffic: Vec<_> = before.iter().zip(&after).map(|((_, before), (_, after))| after.since(*before)).collect();
        let per_second = |what: fn(&Traffic) -> u64| traffic.iter().map(|t| what(t) as f64 / seconds).collect();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Idle {
            cpu,
            datagrams: per_second(|traffic| traffic.datagrams()),
            packets: per_second(|traffic| traffic.packets),
            resident: pids.iter().map(|pid| mib(resident(*pid).unwrap())).collect(),
            proportional: pids.iter().map(|pid| mib(proportional(*pid).unwrap())).collect(),
        }
    }

    /// Random nodes call random nodes, `count` times; each hangs up when it rings.
    fn look_up(&mut self, count: usize, seed: u64) -> Lookups {
        let ids: Vec<(usize, String)> = self.nodes.iter().map(|node| (node.number, node.id.clone())).collect();
        let (ids, share) = (&ids, self.nodes.len().div_ceil(CALLERS_AT_ONCE));
        let busy = &Busy::default();
        let call_some = &|turn: usize, callers: &mut [Node]| -> Vec<Lookup> {
            let mut dice = Dice(seed ^ ((turn as u64) << 32));
            (0..count / CALLERS_AT_ONCE).map(|_| random_call(callers, ids, busy, &mut dice)).collect()
        };
        let outcomes = std::thread::scope(|scope| {
            let shares = self.nodes.chunks_mut(share).enumerate();
            let threads: Vec<_> = shares.map(|(turn, share)| scope.spawn(move || call_some(turn, share))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        Lookups { outcomes }
    }

    /// Kills so many nodes at once, not the bootstrap node.
    fn kill(&mut self, count: usize, dice: &mut Dice) {
        for _ in 0..count {
            let victim = 1 + dice.roll(self.nodes.len() - 1);
            self.nodes.remove(victim).party.daemon.crash().unwrap();
        }
    }

    fn bootstrap(&mut self) -> &mut Daemon {
        &mut self.nodes[BOOTSTRAP].party.daemon
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        self.nodes.iter().for_each(|node| node.party.daemon.ask_to_end());
    }
}

/// What an idle daemon costs, for each of them.
struct Idle {
    /// Milliseconds of a processor per second.
    cpu: Vec<f64>,
    /// UDP datagrams per second, in and out.
    datagrams: Vec<f64>,
    /// Packets of any kind per second, in and out.
    packets: Vec<f64>,
    /// MiB.
    resident: Vec<f64>,
    /// MiB, shared ones in proportion.
    proportional: Vec<f64>,
}

impl Idle {
    fn to_json(&self) -> Value {
        let both = |figures: &[f64]| json!({ "mean": rounded(mean(figures)), "max": rounded(most(figures)) });
        json!({
            "cpu_ms_per_s": both(&self.cpu),
            "datagrams_per_s": both(&self.datagrams),
            "packets_per_s": both(&self.packets),
            "rss_mib": both(&self.resident),
            "pss_mib": both(&self.proportional),
        })
    }

    fn show(&self) {
        show(&format!("an idle daemon, watched for {} s          mean      most", IDLE.as_secs()));
        for (what, figures) in [
            ("processor, ms per s", &self.cpu),
            ("UDP datagrams in and out, per s", &self.datagrams),
            ("packets with ARP and the like, per s", &self.packets),
            ("resident memory, MiB", &self.resident),
            ("proportional memory, MiB", &self.proportional),
        ] {
            show(&format!("  {what:<40} {:>7.3}   {:>7.3}", mean(figures), most(figures)));
        }
    }
}

/// How long a call took to ring, or why it did not.
type Lookup = Result<Duration, String>;

struct Lookups {
    outcomes: Vec<Lookup>,
}

impl Lookups {
    /// The times of those that succeeded, shortest first, in seconds.
    fn times(&self) -> Vec<f64> {
        let mut times: Vec<f64> = self.outcomes.iter().flatten().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn failures(&self) -> Vec<String> {
        self.outcomes.iter().filter_map(|outcome| outcome.clone().err()).collect()
    }

    fn figures(&self) -> [f64; 3] {
        let times = self.times();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last()).copied().unwrap_or(0.0);
        [at(0.5), at(0.95), at(1.0)]
    }

    fn show(&self, when: &str) {
        let (all, found, [median, p95, longest]) = (self.outcomes.len(), self.times().len(), self.figures());
        show(&format!("{when:<44} {found:>3} of {all:>3}   {median:>5.3}   {p95:>5.3}   {longest:>5.3}"));
        self.failures().iter().for_each(|failure| show(&format!("  failed: {failure}")));
    }

    fn to_json(&self) -> Value {
        let [median, p95, longest] = self.figures().map(rounded);
        let (all, found) = (self.outcomes.len(), self.times().len());
        json!({ "lookups": all, "found": found, "median_s": median, "p95_s": p95, "max_s": longest })
    }
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

fn most(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

/// Lets a random caller call somebody. The two are in `busy` meanwhile: who dials a caller of his answers him instead.
fn random_call(callers: &mut [Node], ids: &[(usize, String)], busy: &Busy, dice: &mut Dice) -> Lookup {
    let (caller, (callee, id)) = loop {
        let (caller, callee) = (dice.roll(callers.len()), &ids[dice.roll(ids.len())]);
        if busy.take([callers[caller].number, callee.0]) {
            break (&mut callers[caller], callee);
        }
    };
    let handset = &mut caller.party.handset;
    // The last caller's farewell may still be under way.
    wait_for(CALLING, "an idle telephone", || Ok(handset.snapshot()?.calls.is_empty().then_some(()))).unwrap();
    let outcome = call(handset, id).map_err(|why| format!("node {} calls node {callee}: {why}", caller.number));
    busy.give_back([caller.number, *callee]);
    outcome
}

/// The nodes that take part in a call.
#[derive(Default)]
struct Busy(Mutex<BTreeSet<usize>>);

impl Busy {
    /// Takes two different nodes, if both are free.
    fn take(&self, pair: [usize; 2]) -> bool {
        let mut taken = self.0.lock().unwrap();
        let free = pair[0] != pair[1] && pair.iter().all(|node| !taken.contains(node));
        if free {
            taken.extend(pair);
        }
        free
    }

    fn give_back(&self, pair: [usize; 2]) {
        self.0.lock().unwrap().retain(|node| !pair.contains(node));
    }
}

/// Calls `target` and hangs up when it rings. Who is being called by somebody else at that moment is found as well.
fn call(handset: &mut Handset, target: &str) -> Lookup {
    let knock = handset.knock(target, CALLING).unwrap();
    match knock.failed {
        None | Some(EndReason::Busy) => Ok(knock.took),
        Some(why) => Err(format!("{why:?} after {:.1} s", knock.took.as_secs_f64())),
    }
}

#[test]
fn sixty_four_daemons_find_each_other_whatever_happens_to_a_third_of_them() {
    if !available_or_skipped("sixty_four_daemons_find_each_other_whatever_happens_to_a_third_of_them") {
        return;
    }
    let begin = Instant::now();
    let mut overlay = Overlay::start();
    let (least, average) = overlay.wait_until_joined();
    let joined = begin.elapsed().as_secs_f64();
    show(&format!(
        "\n{NODES} daemons have joined after {joined:.1} s; they know {least} others at least, {average:.1} on average"
    ));
    overlay.wait_until_quiet();
    show(&format!("and are quiet after {:.1} s\n", begin.elapsed().as_secs_f64()));
    let idle = overlay.idle();
    idle.show();

    show(&format!(
        "\n{:<44} {:>10}   {:>5}   {:>5}   {:>5}",
        "dialled until it rings, s", "found", "50 %", "95 %", "all"
    ));
    let healthy = overlay.look_up(LOOKUPS, 1);
    healthy.show("everybody lives");
    overlay.kill(VICTIMS, &mut Dice(2));
    let maimed = overlay.look_up(LOOKUPS_AFTER, 3);
    maimed.show(&format!("{VICTIMS} were killed just now"));
    overlay.bootstrap().crash().unwrap();
    let bootstrap = overlay.nodes.remove(BOOTSTRAP);
    let orphaned = overlay.look_up(LOOKUPS_AFTER, 4);
    orphaned.show("the bootstrap node was killed");
    overlay.nodes.insert(BOOTSTRAP, bootstrap);
    let host = &overlay.hosts[BOOTSTRAP];
    let node = &mut overlay.nodes[BOOTSTRAP];
    node.party.daemon.restart_on(host, &setup(None)).unwrap();
    node.party.handset = Handset::attach(&node.party.daemon, "test").unwrap();
    let resumed = overlay.look_up(LOOKUPS_AFTER, 5);
    resumed.show("the bootstrap node is back");
    show(&format!("{:.1} s in all", begin.elapsed().as_secs_f64()));

    let figures = json!({
        "nodes": NODES,
        "joined_s": rounded(joined),
        "idle": idle.to_json(),
        "healthy": healthy.to_json(),
        "killed": maimed.to_json(),
        "bootstrap_gone": orphaned.to_json(),
        "bootstrap_back": resumed.to_json(),
    });
    show(&format!("{figures}"));

    for lookups in [&healthy, &maimed, &orphaned, &resumed] {
        assert!(lookups.failures().is_empty(), "{:#?}", lookups.failures());
    }
    let longest = maimed.figures()[2];
    assert!(longest <= LOOKUP_LIMIT.as_secs_f64(), "{longest} s");
    assert!(mean(&idle.cpu) <= CPU_LIMIT, "{} ms per s", mean(&idle.cpu));
    assert!(mean(&idle.datagrams) <= TRAFFIC_LIMIT, "{} datagrams per s", mean(&idle.datagrams));
}
