// SPDX-License-Identifier: GPL-3.0-or-later
//! What the rounds come to, and what it must be.

use core::fmt::Write as _;

use dvs_tests::latency::median;
use serde_json::{Number, Value, json};

use crate::call::{Cost, Round};

/// DVS may use so much more of the processor than the minimal call.
const MOST_CPU: f64 = 1.3;
/// Sound may take so long from mouth to ear, in milliseconds.
const LONGEST_DELAY: f64 = 45.0;

/// All rounds.
pub(crate) struct Report {
    pub(crate) rounds: Vec<Round>,
    /// Memory of the larger daemon before its first call, in bytes, in proportion.
    pub(crate) idle_memory: u64,
}

impl Report {
    fn middle(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(&self.rounds.iter().map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    }

    /// Processor time of one side, in milliseconds per second. Whatever else the machine does only ever adds to it, so
    /// for each second of the speech the round counts that was disturbed least.
    fn cpu(&self, cost: fn(&Round) -> &Cost) -> f64 {
        let seconds = self.rounds.iter().map(|round| cost(round).cpu.len()).min().unwrap_or_default();
        let least = |second: usize| {
            let costs = self.rounds.iter().filter_map(|round| cost(round).cpu.get(second));
            costs.copied().fold(f64::INFINITY, f64::min)
        };
        (0..seconds).map(least).sum::<f64>() / seconds as f64 / 2.0
    }

    fn cpu_ratio(&self) -> f64 {
        self.cpu(dvs) / self.cpu(floor)
    }

    /// Of all clicks of all rounds.
    fn mouth_to_ear(&self, cost: fn(&Round) -> &Cost) -> f64 {
        let all: Vec<f64> = self.rounds.iter().flat_map(|round| cost(round).clicks.delays_ms.clone()).collect();
        median(&all).unwrap_or(f64::NAN)
    }

    fn memory(&self, cost: fn(&Round) -> &Cost) -> f64 {
        self.middle(|round| cost(round).memory as f64 / 1e6)
    }

    fn sum(&self, figure: impl Fn(&Round) -> usize) -> usize {
        self.rounds.iter().map(figure).sum()
    }

    fn ring(&self) -> f64 {
        self.middle(|round| f64::from(round.ring_us) / 1e3)
    }

    /// A table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<34} {:>9} {:>9} {:>9}\n", "one side of a call", "DVS", "minimal", "");
        let mut row = |what: &str, [ours, theirs]: [f64; 2], compared: String| {
            let _ = writeln!(table, "{what:<34} {ours:>9.2} {theirs:>9.2} {compared:>9}");
        };
        let cpu = [self.cpu(dvs), self.cpu(floor)];
        row("processor, ms per s", cpu, format!("x {:.2}", self.cpu_ratio()));
        let [ours, theirs] = [self.mouth_to_ear(dvs), self.mouth_to_ear(floor)];
        row("mouth to ear, ms", [ours, theirs], format!("{:+.2}", ours - theirs));
        let memory = [self.memory(dvs), self.memory(floor)];
        row("resident memory, MB", memory, String::new());
        let [clicks, troubles] = [|cost: &Cost| cost.clicks.missed, |cost: &Cost| cost.troubles]
            .map(|count| [self.sum(|round| count(&round.dvs)), self.sum(|round| count(&round.floor))]);
        for (what, [ours, theirs]) in [("clicks not heard", clicks), ("card over- and underruns", troubles)] {
            let _ = writeln!(table, "{what:<34} {ours:>9} {theirs:>9}");
        }
        let _ = writeln!(table, "{:<34} {:>9.2}", "memory when idle, MB (PSS)", self.idle_memory as f64 / 1e6);
        let _ = writeln!(table, "{:<34} {:>9.2}", "from dialling to ringing, ms", self.ring());
        table + &self.rounds_and_threads()
    }

    /// The rounds one by one, and where DVS spends its time.
    fn rounds_and_threads(&self) -> String {
        let mut text = String::new();
        for (number, round) in self.rounds.iter().enumerate() {
            let [ours, theirs] = [&round.dvs, &round.floor];
            let threads = ours.threads.iter().filter(|share| share.ms_per_s >= 0.005);
            let threads: Vec<String> = threads.map(|share| format!("{} {:.2}", share.name, share.ms_per_s)).collect();
            let _ = writeln!(
                text,
                "round {}: {:.2} against {:.2} ms per s; threads: {}",
                number + 1,
                side(ours),
                side(theirs),
                threads.join(", ")
            );
        }
        text
    }

    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        let [ours, theirs] = [self.mouth_to_ear(dvs), self.mouth_to_ear(floor)];
        json!({
            "cpu_ms_per_s": number(self.cpu(dvs)),
            "floor_cpu_ms_per_s": number(self.cpu(floor)),
            "cpu_ratio": number(self.cpu_ratio()),
            "mouth_to_ear_ms": number(ours),
            "floor_mouth_to_ear_ms": number(theirs),
            "mouth_to_ear_difference_ms": number(ours - theirs),
            "rss_mb": number(self.memory(dvs)),
            "idle_pss_mb": number(self.idle_memory as f64 / 1e6),
            "ring_ms": number(self.ring()),
        })
        .to_string()
    }

    /// A sentence for each figure that is not as it must be.
    pub(crate) fn misses(&self) -> Vec<String> {
        let bounds = [
            ("the processor time, as a multiple of the minimal call's,", self.cpu_ratio(), MOST_CPU),
            ("the time from mouth to ear, in ms,", self.mouth_to_ear(dvs), LONGEST_DELAY),
        ];
        let missed = bounds.into_iter().filter(|(_, figure, most)| figure.is_nan() || figure > most);
        missed.map(|(what, figure, most)| format!("{what} is {figure:.2}, and must be at most {most}")).collect()
    }
}

fn dvs(round: &Round) -> &Cost {
    &round.dvs
}

fn floor(round: &Round) -> &Cost {
    &round.floor
}

/// Processor time of one side in the whole round, in milliseconds per second.
fn side(cost: &Cost) -> f64 {
    cost.cpu.iter().sum::<f64>() / cost.cpu.len() as f64 / 2.0
}

/// `value` to three decimals; nothing that JSON cannot say.
fn number(value: f64) -> Value {
    Number::from_f64((value * 1e3).round() / 1e3).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use dvs_tests::clicks::Clicks;

    use super::*;

    fn cost(cpu: f64, delay: f64) -> Cost {
        let clicks = Clicks { delays_ms: vec![delay; 3], missed: 0 };
        Cost { cpu: vec![2.0 * cpu, 2.0 * cpu + 20.0], clicks, memory: 12_000_000, ..Cost::default() }
    }

    fn report(rounds: &[[(f64, f64); 2]]) -> Report {
        let round = |[ours, theirs]: &[(f64, f64); 2]| Round {
            dvs: cost(ours.0, ours.1),
            floor: cost(theirs.0, theirs.1),
            ring_us: 4_321,
        };
        Report { rounds: rounds.iter().map(round).collect(), idle_memory: 3_500_000 }
    }

    #[test]
    fn the_middle_delay_and_the_least_disturbed_seconds_are_reported() {
        let rounds = [[(10.0, 35.0), (8.0, 28.0)], [(40.0, 36.0), (6.0, 29.0)], [(7.0, 37.0), (50.0, 30.0)]];
        let mut report = report(&rounds);
        // In the second round the second second was the quietest.
        report.rounds[1].floor.cpu[1] = 8.0;
        assert_eq!(report.misses().len(), 1);
        let expected = concat!(
            r#"{"cpu_ms_per_s":12.0,"cpu_ratio":2.4,"floor_cpu_ms_per_s":5.0,"floor_mouth_to_ear_ms":29.0,"#,
            r#""idle_pss_mb":3.5,"mouth_to_ear_difference_ms":7.0,"mouth_to_ear_ms":36.0,"ring_ms":4.321,"rss_mb":12.0}"#
        );
        assert_eq!(report.json(), expected);
        assert!(report.table().contains("x 2.40") && report.table().contains("+7.00"), "{}", report.table());
    }

    #[test]
    fn what_is_out_of_bounds_or_was_not_heard_is_said() {
        let misses = report(&[[(23.0, 46.0), (15.0, 28.0)]]).misses();
        assert!(misses.len() == 2 && misses[0].contains("1.40") && misses[1].contains("46.00"), "{misses:?}");
        let mut silent = report(&[[(10.0, 40.0), (10.0, 28.0)]]);
        silent.rounds[0].dvs.clicks.delays_ms.clear();
        assert_eq!(silent.misses().len(), 1);
        assert!(silent.json().contains(r#""mouth_to_ear_ms":null"#));
    }
}
