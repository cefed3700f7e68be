// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients that are stuck, broken or malicious cannot do to the daemon and to each other.

use std::os::unix::fs::symlink;

use super::*;

/// Whether `house` still serves others.
async fn assert_alive(house: &mut House) {
    let mut client = house.attach().await;
    let calling = spawn_blocking(move || (client.call(Request::Snapshot), client));
    let (number, id) = loop {
        match house.next().await {
            FromClient::Request { client, id, .. } => break (client, id),
            FromClient::Gone { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    house.server.reply(number, id, Ok(Reply::Done));
    let (answer, client) = calling.await.unwrap();
    assert_eq!(answer.unwrap(), Reply::Done);
    drop(client);
    assert_eq!(house.next().await, FromClient::Gone { client: number });
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped_and_others_hear_everything() {
    let mut house = House::new();
    let _deaf = house.attach().await;
    let mut well = house.attach().await;
    let text = "x".repeat(1000);
    for at in 0..400 {
        house.server.event(&Event::Activity { at, text: text.clone() });
        let (again, message) = recv(well).await;
        assert!(matches!(message, ToClient::Event(Event::Activity { at: seen, .. }) if seen == at));
        well = again;
    }
    assert_eq!(house.next().await, FromClient::Gone { client: 1 });
}

#[tokio::test]
async fn a_client_that_makes_no_progress_is_dropped() {
    let mut house = House::impatient();
    let _deaf = house.attach().await;
    for at in 0..70 {
        house.server.event(&Event::Activity { at, text: "x".repeat(1000) });
    }
    assert_eq!(house.next().await, FromClient::Gone { client: 1 });
}

#[tokio::test]
async fn a_slow_client_gets_the_latest_figures_and_every_event() {
    let mut house = House::new();
    let client = house.attach().await;
    let mut client = beside(move || {
        let mut client = client;
        client.call(Request::Levels { on: true }).unwrap();
        client
    })
    .await;
    // Fill the pipe, so that all the rest waits in the server.
    (0..64).for_each(|at| house.server.event(&Event::Activity { at, text: "x".repeat(1100) }));
    sleep(Duration::from_millis(20)).await;
    for number in 1..=1000 {
        house.server.event(&Event::Levels(Levels { capture: -number, playback: 0 }));
        house.server.event(&Event::Stats(Box::new(CallStats { sent: number as u64, ..CallStats::default() })));
    }
    house.server.event(&activity(64));
    let (levels, stats, events) = beside(move || {
        let (mut levels, mut stats, mut events) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(ToClient::Event(event)) = client.recv(Some(Duration::from_millis(300))).unwrap() {
            match event {
                Event::Levels(seen) => levels.push(seen.capture),
                Event::Stats(seen) => stats.push(seen.sent),
                Event::Activity { at, .. } => events.push(at),
                other => panic!("{other:?}"),
            }
        }
        (levels, stats, events)
    })
    .await;
    assert_eq!((levels, stats), (vec![-1000], vec![1000]));
    assert_eq!(events, (0..=64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_killed_client_leaves_no_trace() {
    let mut house = House::new();
    for round in 1..=30 {
        let client = house.connect().await;
        assert_eq!(client.number(), round);
        drop(client);
        assert_eq!(house.next().await, FromClient::Gone { client: round });
    }
    assert_eq!(house.files(), Vec::<String>::new());
}

#[tokio::test]
async fn garbage_in_place_of_a_hello_is_answered_by_silence() {
    let mut house = House::impatient();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[0, 0, 0, 0],
        &[255, 255, 255, 255, 1, 2, 3],
        &[3, 0, 0, 0, 1, 2, 3],
        &hello()[..9],
    ] {
        let mut raw = Raw::saying(&house, bytes);
        house.await_empty().await;
        let answered = timeout(Duration::from_millis(400), raw.read_until(|reader| reader.pull().unwrap().is_some()));
        assert!(answered.await.is_err(), "{bytes:?}");
    }
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn garbage_in_place_of_a_request_ends_the_client() {
    let mut house = House::new();
    let oversized = [1, 0, 1, 0];
    let no_message = frame(&[1, 250, 7]).unwrap();
    let trailing = frame(&[1, 1, 0]).unwrap();
    let bomb = frame(&[1, 3, 253, 255, 255, 255, 255, 255, 255, 255, 127]).unwrap();
    for bytes in [&oversized[..], &[0; 4], &no_message, &trailing, &bomb] {
        let mut raw = Raw::saying(&house, &hello());
        let number = raw.server_hello().await.unwrap().client;
        assert!(matches!(house.next().await, FromClient::Attached { .. }));
        raw.to_server.write_all(bytes).unwrap();
        assert_eq!(house.next().await, FromClient::Gone { client: number }, "{bytes:?}");
    }
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn another_version_is_told_ours_and_let_go() {
    let mut house = House::new();
    let mut bytes = hello();
    bytes[8] += 1;
    let mut raw = Raw::saying(&house, &bytes);
    assert_eq!(raw.server_hello().await.unwrap().max_frame, 65_536);
    let gone = raw.read_until(|_| false);
    assert!(timeout(Duration::from_millis(100), gone).await.is_err(), "nothing more comes");
    assert!(house.inbox.try_recv().is_err(), "the loop never hears of it");
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn f29_a_hello_may_come_in_pieces() {
    let mut house = House::new();
    let mut raw = Raw::saying(&house, &hello()[..3]);
    for byte in &hello()[3..] {
        sleep(Duration::from_millis(2)).await;
        raw.to_server.write_all(&[*byte]).unwrap();
    }
    assert_eq!(raw.server_hello().await.unwrap().client, 1);
    assert!(matches!(house.next().await, FromClient::Attached { client: 1, .. }));
}

#[tokio::test]
async fn half_a_client_is_left_alone_until_it_is_old() {
    let mut house = House::with(|config| config.patience.orphan = Duration::from_secs(1));
    let mut raw = Raw::new(&house.directory);
    house.ring();
    sleep(Duration::from_millis(60)).await;
    assert_eq!(house.files().len(), 2, "it may still say its hello");
    raw.to_server.write_all(&hello()).unwrap();
    house.ring();
    assert_eq!(raw.server_hello().await.unwrap().client, 1);
    let old = Raw::new(&house.directory);
    house.ring();
    house.await_empty().await;
    drop(old);
    assert_alive_after_attached(&mut house).await;
}

async fn assert_alive_after_attached(house: &mut House) {
    assert!(matches!(house.next().await, FromClient::Attached { .. }));
    assert_alive(house).await;
}

#[tokio::test]
async fn junk_is_removed_and_bothers_nobody() {
    let mut house = House::impatient();
    let clients = house.directory.join(CLIENTS);
    let name = || PipeName::random().unwrap();
    fs::write(clients.join("readme.txt"), "x").unwrap();
    fs::write(clients.join(name().file(Way::ToServer)), "DVSC").unwrap();
    fs::create_dir(clients.join(name().file(Way::ToServer))).unwrap();
    fs::create_dir(clients.join("directory")).unwrap();
    symlink("/etc/passwd", clients.join(name().file(Way::ToServer))).unwrap();
    symlink(house.directory.join(BELL), clients.join(name().file(Way::ToServer))).unwrap();
    pipe(&clients.join(name().file(Way::ToClient)), S2C_MODE);
    house.ring();
    assert_alive(&mut house).await;
    house.await_empty().await;
    assert!(Path::new("/etc/passwd").exists() && house.directory.join(BELL).exists());
}

#[tokio::test]
async fn a_pipe_behind_a_symbolic_link_is_not_opened() {
    let mut house = House::impatient();
    let clients = house.directory.join(CLIENTS);
    let outside = house.directory.join("outside");
    let mut raw = Raw::new(&house.directory);
    fs::rename(clients.join(raw.name.file(Way::ToServer)), &outside).unwrap();
    symlink(&outside, clients.join(raw.name.file(Way::ToServer))).unwrap();
    raw.to_server.write_all(&hello()).unwrap();
    house.ring();
    house.await_empty().await;
    assert!(house.inbox.try_recv().is_err());
    // And the same for the way back.
    let mut raw = Raw::new(&house.directory);
    fs::rename(clients.join(raw.name.file(Way::ToClient)), &outside).unwrap();
    symlink(&outside, clients.join(raw.name.file(Way::ToClient))).unwrap();
    raw.to_server.write_all(&hello()).unwrap();
    house.ring();
    house.await_empty().await;
    assert!(house.inbox.try_recv().is_err());
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn pipes_that_others_may_open_or_that_have_two_names_are_refused() {
    let mut house = House::impatient();
    let clients = house.directory.join(CLIENTS);
    for way in [Way::ToClient, Way::ToServer] {
        for mode in [0o641, 0o642, 0o644] {
            let mut raw = Raw::new(&house.directory);
            fs::set_permissions(clients.join(raw.name.file(way)), fs::Permissions::from_mode(mode)).unwrap();
            raw.to_server.write_all(&hello()).unwrap();
            house.ring();
            house.await_empty().await;
            assert!(house.inbox.try_recv().is_err(), "{way:?} {mode:o}");
        }
        let mut raw = Raw::new(&house.directory);
        fs::hard_link(clients.join(raw.name.file(way)), house.directory.join(format!("{way:?}"))).unwrap();
        raw.to_server.write_all(&hello()).unwrap();
        house.ring();
        house.await_empty().await;
        assert!(house.inbox.try_recv().is_err(), "{way:?} linked");
    }
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn one_user_gets_eight_clients_and_the_ninth_is_told() {
    let mut house = House::new();
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(house.attach().await);
    }
    let options = house.options();
    let error = beside(move || Client::connect(&options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::TooManyClients), "{error:?}");
    drop(clients.pop());
    assert_eq!(house.next().await, FromClient::Gone { client: 8 });
    house.attach().await;
}

#[tokio::test]
async fn thirty_two_requests_may_wait_and_no_more() {
    let mut house = House::new();
    let mut client = house.attach().await;
    let mut client = beside(move || {
        for _ in 0..33 {
            client.send(Request::Snapshot).unwrap();
        }
        client
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let (number, id, _) = house.request().await;
        waiting.push((number, id));
    }
    let message = beside(move || {
        let message = client.recv(Some(LONG)).unwrap().unwrap();
        (message, client)
    })
    .await;
    let (ToClient::Reply { id: 34, outcome: Err(failure) }, mut client) = message else { panic!("{message:?}") };
    assert_eq!(failure.kind, FailureKind::Limit);
    for (number, id) in waiting {
        house.server.reply(number, id, Ok(Reply::Done));
    }
    beside(move || (0..32).for_each(|_| drop(client.recv(Some(LONG)).unwrap().unwrap()))).await;
}

#[tokio::test]
async fn a_long_name_is_refused_before_the_loop_sees_it() {
    let mut house = House::new();
    let client = house.attach().await;
    let request = Request::ContactAdd { name: "n".repeat(300), target: "x".into() };
    assert_eq!(refused(client, request).await.1, FailureKind::BadInput);
    assert!(matches!(house.next().await, FromClient::Gone { .. }));
}

#[tokio::test]
async fn a_bell_that_never_stops_does_not_stop_the_server() {
    let mut house = House::new();
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK;
    let mut bell = File::from(open(&house.directory.join(BELL), flags, Mode::empty()).unwrap());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let ringing = spawn_blocking(move || {
        while matches!(stopped.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty)) {
            let _ = bell.write(&[0; 4096]);
        }
    });
    for _ in 0..3 {
        assert_alive(&mut house).await;
    }
    drop(stop);
    ringing.await.unwrap();
}

/// The answers to a client's own requests pile up as well.
#[tokio::test]
async fn a_client_that_asks_and_never_listens_is_dropped() {
    let mut house = House::new();
    let mut client = house.attach().await;
    let _client = beside(move || {
        (0..20).for_each(|_| drop(client.send(Request::Snapshot)));
        client
    })
    .await;
    let answer = Failure::new(FailureKind::Internal, "x".repeat(60_000));
    loop {
        match house.next().await {
            FromClient::Request { client, id, .. } => house.server.reply(client, id, Err(answer.clone())),
            gone => break assert_eq!(gone, FromClient::Gone { client: 1 }),
        }
    }
    assert_alive(&mut house).await;
}

#[tokio::test]
async fn a_user_that_floods_the_directory_with_pipes_hides_nobody_elses() {
    let mut house = House::new();
    for _ in 0..1_000 {
        let name = PipeName::random().unwrap().file(Way::ToServer);
        mkfifo(&house.directory.join(CLIENTS).join(name), Mode::from_bits_truncate(0o640)).unwrap();
    }
    house.ring();
    sleep(Duration::from_secs(2)).await;
    assert!(house.files().len() <= 32, "{}", house.files().len());
    assert_alive(&mut house).await;
}
