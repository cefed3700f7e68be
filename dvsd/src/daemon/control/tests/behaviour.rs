// SPDX-License-Identifier: GPL-3.0-or-later
//! What well-behaved clients can count on.

use super::*;

#[tokio::test]
async fn a_client_says_hello_attaches_and_gets_its_answers() {
    let mut house = House::new();
    let options = house.options();
    let client = beside(move || Client::connect(&options)).await.unwrap();
    let uid = nix::unistd::getuid().as_raw();
    assert_eq!(house.next().await, FromClient::Attached { client: 1, uid, control: true });
    let client = house.attach_client(client).await;
    let (client, answer) =
        served(&mut house, client, Request::Mute { on: None }, Ok(Reply::Switched { on: true })).await;
    assert_eq!(answer.unwrap(), Reply::Switched { on: true });
    let failure = Failure::new(FailureKind::NotFound, "no call");
    let (_client, answer) = served(&mut house, client, Request::Hangup { call: None }, Err(failure.clone())).await;
    assert!(matches!(answer, Err(CallError::Refused(refused)) if refused == failure));
}

#[tokio::test]
async fn the_names_are_gone_once_the_client_is_in() {
    let mut house = House::new();
    let client = house.attach().await;
    assert_eq!(house.files(), Vec::<String>::new());
    let (_client, answer) = served(&mut house, client, Request::Snapshot, Ok(Reply::Done)).await;
    assert_eq!(answer.unwrap(), Reply::Done, "the pipes go on working");
}

#[tokio::test]
async fn events_come_in_order_and_only_after_the_snapshot() {
    let mut house = House::new();
    let client = house.connect().await;
    house.server.event(&activity(0));
    let mut client = house.attach_client(client).await;
    (1..=200).for_each(|number| house.server.event(&activity(number)));
    for number in 1..=200 {
        let (again, message) = recv(client).await;
        assert_eq!(message, ToClient::Event(activity(number)));
        client = again;
    }
}

#[tokio::test]
async fn events_that_come_while_an_answer_is_awaited_are_kept() {
    let mut house = House::new();
    let mut client = house.attach().await;
    let calling = spawn_blocking(move || (client.call(Request::Snapshot).unwrap(), client));
    let (number, id, _) = house.request().await;
    house.server.event(&activity(1));
    house.server.event(&activity(2));
    house.server.reply(number, id, Ok(Reply::Done));
    house.server.event(&activity(3));
    let (answer, mut client) = calling.await.unwrap();
    assert_eq!(answer, Reply::Done);
    for number in 1..=3 {
        let (again, message) = recv(client).await;
        assert_eq!(message, ToClient::Event(activity(number)));
        client = again;
    }
    assert!(beside(move || client.recv(Some(Duration::from_millis(1)))).await.unwrap().is_none());
}

#[tokio::test]
async fn all_clients_hear_an_event() {
    let mut house = House::new();
    let first = house.attach().await;
    let second = house.attach().await;
    house.server.event(&activity(2));
    assert_eq!(recv(first).await.1, ToClient::Event(activity(2)));
    assert_eq!(recv(second).await.1, ToClient::Event(activity(2)));
}

#[tokio::test]
async fn a_client_without_events_gets_answers_only() {
    let mut house = House::new();
    let options = Options { events: false, ..house.options() };
    let client = house.connect_with(options).await;
    let mut client = house.attach_client(client).await;
    house.server.event(&activity(1));
    assert!(beside(move || client.recv(Some(Duration::from_millis(50)))).await.unwrap().is_none());
}

#[tokio::test]
async fn f29_a_client_that_leaves_is_noticed() {
    let mut house = House::new();
    let client = house.attach().await;
    let number = client.number();
    drop(client);
    assert_eq!(house.next().await, FromClient::Gone { client: number });
    house.server.reply(number, 1, Ok(Reply::Done));
    house.server.event(&activity(1));
    assert_eq!(house.attach().await.number(), number + 1, "numbers are not used again");
}

#[tokio::test]
async fn a_server_that_ends_is_noticed() {
    let mut house = House::new();
    let mut client = house.attach().await;
    let House { server, inbox, _temporary, .. } = house;
    drop((server, inbox));
    let lost = beside(move || client.recv(Some(LONG))).await;
    assert!(matches!(lost, Err(Lost::Closed)), "{lost:?}");
}

#[tokio::test]
async fn without_a_server_a_client_says_so() {
    let mut house = House::new();
    let options = house.options();
    drop(house.attach().await);
    let House { server, inbox, _temporary, directory } = house;
    drop((server, inbox));
    sleep(Duration::from_millis(50)).await;
    let error = beside(move || Client::connect(&options)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NotRunning { directory: at } if *at == directory), "{error:?}");
    let missing = Options { directory: Some(directory.join("missing")), ..Options::default() };
    let error = beside(move || Client::connect(&missing)).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotRunning { .. }), "{error:?}");
}

#[tokio::test]
async fn levels_go_to_those_who_want_them() {
    let mut house = House::new();
    let first = house.attach().await;
    let mut second = house.attach().await;
    assert!(!house.server.wants_levels());
    second = beside(move || {
        assert_eq!(second.call(Request::Levels { on: true }).unwrap(), Reply::Done);
        second
    })
    .await;
    assert!(house.server.wants_levels());
    house.server.event(&Event::Levels(Levels { capture: -1, playback: -2 }));
    house.server.event(&activity(1));
    assert_eq!(recv(first).await.1, ToClient::Event(activity(1)));
    let (second, one) = recv(second).await;
    let (second, other) = recv(second).await;
    let levels = ToClient::Event(Event::Levels(Levels { capture: -1, playback: -2 }));
    assert!([one, other].contains(&levels));
    drop(second);
    assert!(matches!(house.next().await, FromClient::Gone { .. }));
    assert!(matches!(house.next().await, FromClient::Gone { .. }));
    assert!(!house.server.wants_levels());
}

#[tokio::test]
async fn the_first_request_must_be_attach() {
    let mut house = House::new();
    let client = house.connect().await;
    let (client, kind) = refused(client, Request::Snapshot).await;
    assert_eq!(kind, FailureKind::State);
    let (client, kind) = refused(client, Request::Levels { on: true }).await;
    assert_eq!(kind, FailureKind::State);
    house.attach_client(client).await;
}

#[tokio::test]
async fn observers_change_neither_who_may_ring_nor_who_is_trusted() {
    let mut house = House::new();
    let options = Options { control: false, ..house.options() };
    let client = house.connect_with(options).await;
    let mut client = house.attach_client(client).await;
    for request in [
        Request::DoNotDisturb { on: Some(true) },
        Request::UnknownCallers { policy: UnknownCallers::Ring },
        Request::ContactAutoAnswer { contact: "Bob".into(), on: true },
        Request::ContactVerify { contact: "Bob".into(), fingerprint: "00".into() },
        Request::VerifyStart { call: None },
        Request::VerifyDone { call: None, matches: true },
        Request::Switch { call: None },
        Request::Wait { call: None, on: true },
    ] {
        let (again, kind) = refused(client, request).await;
        assert_eq!(kind, FailureKind::Permission);
        client = again;
    }
    assert!(house.inbox.try_recv().is_err(), "the loop never sees them");
}

#[tokio::test]
async fn a_call_with_too_few_or_too_many_tries_never_reaches_the_loop() {
    let mut house = House::new();
    let mut client = house.attach().await;
    for tries in [0, 21] {
        let dial = Request::Dial { target: "Bob".into(), tries: Some(tries), wait: false };
        let (again, kind) = refused(client, dial).await;
        assert_eq!(kind, FailureKind::BadInput);
        client = again;
    }
    assert!(house.inbox.try_recv().is_err());
}

#[tokio::test]
async fn observers_may_look_but_not_act() {
    let uid = nix::unistd::getuid().as_raw();
    let mut house = House::with(|config| config.observe_only = vec![uid]);
    let options = house.options();
    let client = beside(move || Client::connect(&options)).await.unwrap();
    assert_eq!(house.next().await, FromClient::Attached { client: 1, uid, control: false });
    let client = house.attach_client(client).await;
    let (client, kind) = refused(client, Request::Hangup { call: None }).await;
    assert_eq!(kind, FailureKind::Permission);
    let (_client, answer) = served(&mut house, client, Request::Snapshot, Ok(snapshot(1))).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn who_does_not_ask_for_control_does_not_get_it() {
    let mut house = House::new();
    let options = Options { control: false, ..house.options() };
    let client = house.connect_with(options).await;
    let client = house.attach_client(client).await;
    assert_eq!(refused(client, Request::Mute { on: None }).await.1, FailureKind::Permission);
}

#[tokio::test]
async fn an_answer_that_fits_no_frame_becomes_a_failure() {
    let mut house = House::new();
    let client = house.attach().await;
    let failure = Err(Failure::new(FailureKind::Internal, "x".repeat(70_000)));
    let (_client, answer) = served(&mut house, client, Request::Snapshot, failure).await;
    assert!(matches!(answer, Err(CallError::Refused(Failure { kind: FailureKind::Limit, .. }))));
}

#[tokio::test]
async fn large_answers_come_whole() {
    let mut house = House::new();
    let client = house.attach().await;
    let failure = Failure::new(FailureKind::Internal, "x".repeat(60_000));
    let (client, answer) = served(&mut house, client, Request::Snapshot, Err(failure.clone())).await;
    assert!(matches!(answer, Err(CallError::Refused(refused)) if refused == failure));
    let (_client, answer) = served(&mut house, client, Request::Snapshot, Err(failure.clone())).await;
    assert!(matches!(answer, Err(CallError::Refused(refused)) if refused == failure));
}

#[tokio::test]
async fn only_one_server_serves_a_directory() {
    let house = House::new();
    let error = Server::start(config(&house.directory)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("another dvsd"), "{error}");
}

#[tokio::test]
async fn a_directory_is_used_again_after_a_crash() {
    let house = House::new();
    let House { server, inbox, _temporary, directory } = house;
    let left = Raw::new(&directory);
    drop((server, inbox, left));
    sleep(Duration::from_millis(50)).await;
    let mut config = config(&directory);
    config.patience.orphan = Duration::from_millis(50);
    let (server, inbox) = Server::start(config).unwrap();
    let mut house = House { _temporary, directory, server, inbox };
    house.attach().await;
    house.await_empty().await;
}

#[test]
fn a_missing_system_directory_is_explained() {
    if Path::new("/run/dvs").exists() {
        eprintln!("SKIPPED: this machine has a /run/dvs");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let error = Server::start(config(Path::new("/run/dvs"))).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("systemd-tmpfiles --create"), "{error}");
}

#[tokio::test]
async fn a_directory_others_may_write_to_is_not_used() {
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = Server::start(config(temporary.path())).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("others may write"), "{error}");
}
