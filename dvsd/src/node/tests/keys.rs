// SPDX-License-Identifier: GPL-3.0-or-later
//! A call goes on while the keys under it, and the whole session, are replaced.

use super::*;

/// Nodes 1 and 2 in a call that 1 made.
fn in_call() -> Net {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_millis(100));
    net
}

/// Both speak, `frames` frames each.
fn converse(net: &mut Net, frames: u32) {
    for frame in 0..frames {
        for index in [1, 2] {
            let (call, captured) = (net.hosts[index].call().number, net.now.mono);
            net.input(index, Input::Frame { call, captured, ticks: 8, first: frame == 0, opus: &[0x78; 80] });
        }
        net.run(Duration::from_millis(20));
    }
    net.run(Duration::from_millis(20));
}

fn epoch(net: &Net, index: usize) -> u32 {
    net.hosts[index].node.session_stats(net.hosts[index].call().key).unwrap().epoch
}

#[test]
fn three_rekeys_in_a_call_lose_no_frame() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.hosts.iter_mut().for_each(|host| host.node.set_rekey_after(Duration::from_secs(10)));
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_millis(100));
    converse(&mut net, 1_600);
    assert_eq!([epoch(&net, 1), epoch(&net, 2)], [3, 3]);
    assert_eq!([net.hosts[1].played.len(), net.hosts[2].played.len()], [1_600, 1_600]);
}

#[test]
fn f21_a_call_moves_to_a_new_session_before_the_numbers_end_and_loses_no_frame() {
    let mut net = in_call();
    let key = |index: usize, net: &Net| net.hosts[index].call().key;
    for index in [1, 2] {
        let key = key(index, &net);
        let sessions = &mut net.hosts[index].node.sessions;
        let session = sessions.session_of(key.local, key.peer).unwrap();
        sessions.use_up_numbers(session);
    }
    let before = [1, 2].map(|index| {
        let key = key(index, &net);
        net.hosts[index].node.sessions.session_of(key.local, key.peer)
    });
    converse(&mut net, 500);
    for (index, before) in [(1, before[0]), (2, before[1])] {
        let key = key(index, &net);
        assert_ne!(net.hosts[index].node.sessions.session_of(key.local, key.peer), before);
        assert_eq!(net.hosts[index].call().state, State::Active);
        assert_eq!((net.hosts[index].calls.len(), net.hosts[index].sound.len()), (1, 1));
        assert_eq!(net.hosts[index].played.len(), 500);
    }
}
