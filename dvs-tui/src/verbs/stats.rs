// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui stats`

use std::path::PathBuf;

use dvs_proto::message::{CallStats, Event, Reply, Request};

use super::output::{Output, table};
use crate::attach::{Line, unexpected};
use crate::cli::WhichCall;
use crate::failed::Failed;
use crate::ui::text::plural;

/// Shows the figures of a call; with `follow`, whenever there are new ones.
pub(super) fn run(which: WhichCall, follow: bool, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    if follow {
        return follow_call(&mut line, which.number(), out);
    }
    let reply = line.ask(Request::Stats { call: which.number() }).map_err(|failed| {
        let never = which.number().is_none() && snapshot.calls.is_empty() && snapshot.history.is_empty();
        if failed.is_not_found() && never { Failed::not_found("no call yet") } else { failed }
    });
    match reply? {
        Reply::Stats(stats) => out.show(&*stats, in_words),
        other => Err(unexpected(&other)),
    }
}

fn follow_call(line: &mut Line, call: Option<u32>, out: &mut Output) -> Result<(), Failed> {
    loop {
        if let Event::Stats(stats) = line.event()?
            && call.is_none_or(|call| call == stats.call)
        {
            out.show(&*stats, brief)?;
        }
    }
}

fn millis(micros: u32) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

fn optional(micros: Option<u32>) -> String {
    micros.map_or_else(|| "unknown".to_owned(), millis)
}

fn loss(stats: &CallStats) -> String {
    format!("{}.{} %", stats.loss_permille / 10, stats.loss_permille % 10)
}

fn kilobits(bits: u32) -> String {
    format!("{} kbit/s", bits.div_ceil(1000))
}

fn packets(count: u64) -> String {
    format!("{count} packet{}", if count == 1 { "" } else { "s" })
}

/// One line, for following.
fn brief(stats: &CallStats) -> String {
    format!(
        "call {}  rtt {}  jitter {}  buffer {}  loss {}  up {}  down {}",
        stats.call,
        optional(stats.rtt_us),
        millis(stats.jitter_us),
        millis(stats.buffer_us),
        loss(stats),
        kilobits(stats.tx_bitrate),
        kilobits(stats.rx_bitrate)
    )
}

fn in_words(stats: &CallStats) -> String {
    let sizes = format!(
        "{} packets, last {} bytes, {} to {}",
        stats.sent, stats.packet_bytes, stats.packet_bytes_min, stats.packet_bytes_max
    );
    let lost = format!(
        "{} of {} ({}), {} of them late, {} recovered, {} concealed",
        stats.lost,
        stats.received.saturating_add(stats.lost),
        loss(stats),
        stats.late,
        stats.recovered,
        stats.concealed
    );
    let rows = [
        ["call", &stats.call.to_string()],
        ["round trip", &optional(stats.rtt_us)],
        ["jitter", &millis(stats.jitter_us)],
        ["buffer", &millis(stats.buffer_us)],
        ["mouth to ear", &optional(stats.mouth_to_ear_us)],
        ["sent", &sizes],
        ["received", &packets(stats.received)],
        ["lost", &lost],
        ["rate", &format!("up {}, down {}", kilobits(stats.tx_bitrate), kilobits(stats.rx_bitrate))],
        ["drift", &format!("{} samples inserted, {} removed", stats.stretched, stats.shortened)],
        ["xruns", &stats.xruns.to_string()],
        ["keys", &format!("renewed {}", plural(stats.epoch, "time"))],
        ["path", &format!("changed {}", plural(stats.path_changes, "time"))],
        ["not authentic", &packets(stats.not_authentic)],
    ];
    table(&rows.map(|row| row.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> CallStats {
        CallStats {
            call: 2,
            rtt_us: Some(23_450),
            jitter_us: 4_000,
            buffer_us: 40_000,
            received: 996,
            lost: 4,
            loss_permille: 4,
            epoch: 3,
            path_changes: 1,
            not_authentic: 2,
            tx_bitrate: 31_900,
            rx_bitrate: 32_001,
            ..CallStats::default()
        }
    }

    #[test]
    fn figures_are_rounded_for_people() {
        assert_eq!(
            brief(&stats()),
            "call 2  rtt 23.4 ms  jitter 4.0 ms  buffer 40.0 ms  loss 0.4 %  up 32 kbit/s  down 33 kbit/s"
        );
        let text = in_words(&stats());
        for row in [
            "lost           4 of 1000 (0.4 %), 0 of them late, 0 recovered, 0 concealed",
            "received       996 packets",
            "keys           renewed 3 times",
            "path           changed 1 time",
            "not authentic  2 packets",
        ] {
            assert!(text.lines().any(|line| line == row), "{row}\n{text}");
        }
    }
}
