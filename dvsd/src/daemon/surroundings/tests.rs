// SPDX-License-Identifier: GPL-3.0-or-later
//! Real interfaces, in namespaces of their own. Needs root.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use dvs_tests::netns::{Namespace, available_or_skipped};
use nix::sched::{CloneFlags, setns};

use super::*;

/// Runs `task` on a thread that lives in `namespace`.
pub(crate) fn inside<T: Send + 'static, F: Future<Output = T>>(
    namespace: &Arc<Namespace>,
    task: impl FnOnce(Arc<Namespace>) -> F + Send + 'static,
) -> JoinHandle<T> {
    let namespace = Arc::clone(namespace);
    std::thread::spawn(move || {
        let file = File::open(Path::new("/run/netns").join(namespace.name())).unwrap();
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task(namespace))
    })
}

/// Runs `ip` with each of `lines` inside.
pub(crate) fn ip(namespace: &Namespace, lines: &[&str]) {
    for line in lines {
        let output = namespace.command("ip").args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Does something while `watch` watches, and waits for what it tells.
async fn told(watch: &mut Watch, namespace: &Namespace, lines: &[&str]) -> Surroundings {
    ip(namespace, lines);
    tokio::time::timeout(Duration::from_secs(3), watch.changed()).await.unwrap_or_else(|_| panic!("{lines:?} unseen"))
}

async fn is_silent(watch: &mut Watch) -> bool {
    tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_err()
}

/// Waits until `count` interfaces have the IPv6 address that each makes for itself, which takes a while.
async fn until_link_local(watch: &mut Watch, count: usize) {
    let own = |watch: &Watch| watch.known().addresses().filter(|ip| ip.to_string().starts_with("fe80")).count();
    while own(watch) < count {
        tokio::time::timeout(Duration::from_secs(6), watch.changed()).await.expect("a new address shows once it works");
    }
}

fn has(surroundings: &Surroundings, ip: &str) -> bool {
    let ip: IpAddr = ip.parse().unwrap();
    surroundings.addresses().any(|own| own == ip)
}

#[test]
fn addresses_cables_and_interfaces_are_seen_to_come_and_go() {
    if !available_or_skipped("addresses_cables_and_interfaces_are_seen_to_come_and_go") {
        return;
    }
    let namespace = Arc::new(Namespace::new().unwrap());
    let task = |here: Arc<Namespace>| async move {
        let mut watch = Watch::start();
        assert_eq!(watch.known().ways_out, [None, None]);
        let seen =
            told(&mut watch, &here, &["link add va type veth peer name vb", "link set va up", "link set vb up"]).await;
        assert_eq!(seen.interfaces.len(), 3);
        until_link_local(&mut watch, 2).await;

        let seen = told(&mut watch, &here, &["address add 198.18.1.1/24 dev va"]).await;
        assert!(has(&seen, "198.18.1.1"));
        let seen = told(&mut watch, &here, &["route add default via 198.18.1.2"]).await;
        assert_eq!(seen.ways_out[0], "198.18.1.1".parse().ok(), "a way to the Internet");
        let seen = told(&mut watch, &here, &["address del 198.18.1.1/24 dev va"]).await;
        assert!(!has(&seen, "198.18.1.1"));
        assert_eq!(seen.ways_out[0], None);

        let index = |seen: &Surroundings| seen.interfaces.iter().map(|it| it.index).max().unwrap();
        let a = index(&seen);
        assert!(seen.runs(a));
        let seen = told(&mut watch, &here, &["link set vb down"]).await;
        assert!(!seen.runs(a), "no cable: {seen:?}");
        let seen = told(&mut watch, &here, &["link del va"]).await;
        assert_eq!(seen.interfaces.len(), 1);
        assert!(is_silent(&mut watch).await);
    };
    inside(&namespace, task).join().unwrap();
}

#[test]
fn what_is_back_as_it_was_has_changed_and_what_never_went_has_not() {
    if !available_or_skipped("what_is_back_as_it_was_has_changed_and_what_never_went_has_not") {
        return;
    }
    let namespace = Arc::new(Namespace::new().unwrap());
    let task = |here: Arc<Namespace>| async move {
        ip(&here, &["link add va type veth peer name vb", "link set va up", "link set vb up"]);
        ip(&here, &["address add 198.18.1.1/24 dev va"]);
        let mut watch = Watch::start();
        until_link_local(&mut watch, 2).await;
        let before = watch.known().clone();
        ip(&here, &["link set vb down", "link set vb up"]);
        assert!(!is_silent(&mut watch).await, "the cable was out for a moment");
        until_link_local(&mut watch, 2).await;
        assert_eq!(watch.known(), &before);
        ip(&here, &["route add 198.18.9.0/24 dev va", "route del 198.18.9.0/24 dev va"]);
        assert!(is_silent(&mut watch).await, "a route that leads elsewhere");
    };
    inside(&namespace, task).join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_network_that_never_rests_is_looked_at_less_often() {
    let mut watch = Watch::start();
    for _ in 0..QUICK {
        assert_eq!(watch.patience(), SETTLE);
        watch.tell();
    }
    assert_eq!(watch.patience(), TIRED);
    tokio::time::advance(CALM).await;
    assert_eq!(watch.patience(), SETTLE);
    watch.tell();
    assert_eq!(watch.patience(), SETTLE, "it begins anew");
}
