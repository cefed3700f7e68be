// SPDX-License-Identifier: GPL-3.0-or-later
//! Explores the call machines. `cargo xtask explore` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

use dvs_tests::explore::{Limits, search, three, two};

fn main() {
    let depth: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(100);
    let states: usize = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    for (name, scenes) in [("two", two()), ("three", three())] {
        let began = std::time::Instant::now();
        let seen = search(&scenes, Limits { depth, states }, &mut |n| {
            if n % 50_000 == 0 {
                eprint!("\r{n}");
            }
        });
        println!(
            "{name}: {} states, {} steps, complete {:?}, commands {}, longest {}, {:?}",
            seen.states, seen.steps, seen.complete, seen.commands, seen.longest, began.elapsed()
        );
        for ((a, b), n) in &seen.endings {
            println!("  {a} {b} {n}");
        }
        if let Some(trace) = seen.violation {
            println!("{trace}");
        }
    }
}
