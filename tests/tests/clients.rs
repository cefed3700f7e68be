// SPDX-License-Identifier: GPL-3.0-or-later
//! Several clients of one daemon, some of them misbehaving.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dvs_proto::framing;
use dvs_proto::hello::{Hello, MINOR};
use dvs_proto::message::{CallState, Event, Request, ToServer};
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::trio::{PATIENCE, Trio};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::mkfifo;

fn trio() -> Trio {
    let tone = Setup { backend: "tone".to_owned(), ..Setup::loopback() };
    Trio::start(tone.clone(), tone).unwrap()
}

/// A pair of pipes made by hand, for clients that do what the library never would.
struct RawPipes {
    to_daemon: File,
    /// Kept open and never read.
    _from_daemon: OwnedFd,
}

impl RawPipes {
    fn connect(daemon: &Daemon, number: u8) -> Self {
        let directory = daemon.runtime_directory();
        let name = format!("{:032x}", 0xbad0 + u128::from(number));
        let fifo = |suffix: &str, mode: u32| {
            let path = directory.join("c").join(format!("{name}.{suffix}"));
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            let flags = if suffix == "c2s" { OFlag::O_RDWR } else { OFlag::O_RDONLY };
            let fd = open(&path, flags | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
            fchmod(&fd, Mode::from_bits_truncate(mode)).unwrap();
            fd
        };
        let from_daemon = fifo("s2c", 0o620);
        let to_daemon = File::from(fifo("c2s", 0o640));
        let bell = open(&directory.join("bell"), OFlag::O_WRONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
        File::from(bell).write_all(b"!").unwrap();
        Self { to_daemon, _from_daemon: from_daemon }
    }

    fn greet(&mut self) {
        let hello = Hello { minor: MINOR, control: true, events: true };
        self.to_daemon.write_all(&framing::frame(&hello.emit()).unwrap()).unwrap();
        self.request(1, Request::Attach { name: "raw".to_owned() });
    }

    fn request(&mut self, id: u32, request: Request) {
        let frame = dvs_proto::codec::encode(&ToServer { id, request }).unwrap();
        // The daemon may have hung up already.
        let _ = self.to_daemon.write_all(&frame);
    }
}

fn clients(handset: &mut Handset) -> usize {
    handset.snapshot().unwrap().clients.len()
}

#[test]
fn both_clients_ring_one_answers_and_the_other_shows_who() {
    let mut trio = trio();
    let mut other = Handset::attach(&trio.bob.daemon, "pts/7").unwrap();
    trio.ring().unwrap();
    other.wait_for_call(PATIENCE, CallState::Alerting).unwrap();
    other.answer().unwrap();
    let seen = trio.bob.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
    let who = seen.answered_by.unwrap();
    assert!(who.ends_with("on pts/7"), "{who}");
    trio.alice.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
}

#[test]
fn a_killed_client_takes_nothing_with_it() {
    let mut trio = trio();
    trio.talk().unwrap();
    let mut victim = Handset::attach(&trio.bob.daemon, "victim").unwrap();
    victim.ask(Request::Levels { on: true }).unwrap();
    assert_eq!(clients(&mut trio.bob.handset), 2);
    drop(victim);
    wait_for(PATIENCE, "the dead client to be noticed", || Ok((clients(&mut trio.bob.handset) == 1).then_some(())))
        .unwrap();
    assert_eq!(trio.bob.handset.snapshot().unwrap().calls[0].state, CallState::Active);
}

#[test]
fn a_client_that_never_reads_is_dropped_and_the_others_never_notice() {
    let mut trio = trio();
    trio.talk().unwrap();
    let mut deaf = RawPipes::connect(&trio.bob.daemon, 1);
    deaf.greet();
    wait_for(PATIENCE, "the deaf client", || Ok((clients(&mut trio.bob.handset) == 2).then_some(()))).unwrap();
    deaf.request(2, Request::Levels { on: true });
    let mut id = 3;
    wait_for(Duration::from_secs(60), "the deaf client to be dropped", || {
        // Under the daemon's limit of 100 requests per second.
        for _ in 0..8 {
            deaf.request(id, Request::Snapshot);
            id += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok((clients(&mut trio.bob.handset) == 1).then_some(()))
    })
    .unwrap();
    assert_eq!(trio.bob.handset.snapshot().unwrap().calls[0].state, CallState::Active);
    assert_eq!(trio.alice.handset.snapshot().unwrap().calls[0].state, CallState::Active);
}

#[test]
fn garbage_and_oversized_lengths_cost_the_sender_its_connection_and_nobody_else_anything() {
    let mut trio = trio();
    trio.talk().unwrap();
    let attacks: [&[u8]; 5] = [
        &[0xff; 4],
        &[0, 0, 0, 0],
        &[1, 0, 1, 0, 0x55],
        &[
            30, 0, 0, 0, 1, 3, 253, 255, 255, 255, 255, 255, 255, 255, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0,
        ],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let mut raw = RawPipes::connect(&trio.bob.daemon, 10 + number as u8);
        raw.greet();
        wait_for(PATIENCE, "the attacker", || Ok((clients(&mut trio.bob.handset) == 2).then_some(()))).unwrap();
        raw.to_daemon.write_all(attack).unwrap();
        let what = format!("the end of attacker {number}");
        wait_for(PATIENCE, &what, || Ok((clients(&mut trio.bob.handset) == 1).then_some(()))).unwrap();
    }
    assert!(trio.bob.daemon.is_running());
    let received = trio.bob.handset.stats().unwrap().received;
    wait_for(PATIENCE, "more media", || Ok((trio.bob.handset.stats()?.received > received + 50).then_some(())))
        .unwrap();
}

#[test]
fn a_snapshot_and_the_events_after_it_leave_no_gap() {
    let mut trio = trio();
    let mut late = Handset::attach(&trio.bob.daemon, "late").unwrap();
    trio.ring().unwrap();
    let states: Vec<CallState> = std::iter::from_fn(|| match late.next_event(Duration::from_secs(2)).unwrap() {
        Some(Event::Call(call)) => Some(Some(call.state)),
        Some(_) => Some(None),
        None => None,
    })
    .take_while(|state| *state != Some(CallState::Alerting))
    .flatten()
    .collect();
    assert!(states.is_empty(), "the first state seen must be Alerting: {states:?}");
}

#[test]
fn an_address_book_larger_than_any_message_is_shown_whole() {
    let daemon = Daemon::start("Alice", &Setup::loopback()).unwrap();
    let mut handset = Handset::attach(&daemon, "test").unwrap();
    for number in 0..300_u32 {
        // Names as long as they may be, in letters of four bytes each.
        let name = format!("{}{number:03}", "𝔞".repeat(61));
        handset.add_contact(&name, &format!("{number:040X}")).unwrap();
    }
    let mut late = Handset::attach(&daemon, "late").unwrap();
    assert_eq!(late.snapshot().unwrap().contacts.len(), 300);
}
