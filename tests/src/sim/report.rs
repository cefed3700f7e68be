// SPDX-License-Identifier: GPL-3.0-or-later
//! The figures as people read them: a page for one simulation, a row in a table of many, and a plot.

use core::fmt::Write as _;

use super::figures::Figures;
use super::settings::Settings;

/// The header of the table whose rows [`row`] makes, in Markdown.
pub const HEADER: &str = "\
| nodes | what | paths | rounds | ideal | ratio | messages | ideal | ratio | in all | success | p50 / p95 / p99, ms | table, B | waiting, B |
|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";
/// Height of the plot in lines.
const HEIGHT: usize = 12;
/// Width of one size of network in the plot.
const WIDTH: usize = 12;

/// What is special about a simulation.
pub fn what(settings: &Settings) -> String {
    let mut parts = vec![settings.start.name().to_owned()];
    if settings.proofs {
        parts.push("proofs".to_owned());
    }
    if settings.private {
        parts.push("private".to_owned());
    }
    if settings.dead > 0.0 {
        parts.push(format!("{} % dead", settings.dead));
    }
    if let Some(uptime) = settings.churn {
        parts.push(format!("median uptime {} min", uptime.as_secs() / 60));
    }
    if settings.malicious > 0.0 {
        let (attackers, strategy) = (settings.attackers.name(), settings.strategy.name());
        parts.push(format!("{} % malicious, {attackers}, {strategy}", settings.malicious));
    }
    if settings.loss > 0.0 {
        parts.push(format!("{} % lost", settings.loss));
    }
    parts.join(", ")
}

/// One simulation, on a few lines.
pub fn page(figures: &Figures) -> String {
    let Figures { settings, tables, .. } = figures;
    let ((ideal_rounds, ideal_messages), (rounds, messages)) = (figures.ideal, figures.ratios());
    let paths = if settings.paths == 1 { "1 path" } else { &format!("{} paths", settings.paths) };
    let mut page =
        format!("{} nodes, {}, {paths}, round trip 50 ms, seed {}\n", settings.nodes, what(settings), settings.seed);
    let mut line = |what: &str, text: String| {
        let _ = writeln!(page, "  {what:<34} {text}");
    };
    line("rounds until the target is named", compared(figures.rounds, ideal_rounds, rounds));
    line("ROUTE_REQ until then", compared(figures.messages, ideal_messages, messages));
    line("ROUTE_REQ and PINGs until found", format!("{:.2}", figures.in_total));
    let success = 100.0 * figures.success();
    line(
        "success",
        format!("{success:.2} %   {} of {}, {} misled on the way", figures.found, figures.lookups, figures.misled),
    );
    line("time, median / 95 % / 99 %", format!("{} ms", times(figures)));
    let most = tables.most;
    line("table", format!("{:.0} nodes, {:.0} bytes, at most {most} bytes", tables.entries, tables.bytes));
    line("waiting for room", format!("{:.0} bytes", tables.waiting));
    line("datagrams in all", figures.datagrams.to_string());
    page
}

/// One simulation, as a row under [`HEADER`].
pub fn row(figures: &Figures) -> String {
    let Figures { settings, tables, .. } = figures;
    let ((ideal_rounds, ideal_messages), (rounds, messages)) = (figures.ideal, figures.ratios());
    format!(
        "| {} | {} | {} | {:.2} | {ideal_rounds:.2} | {rounds:.2} | {:.2} | {ideal_messages:.2} | {messages:.2} | {:.2} | {:.2} % | {} | {:.0} | {:.0} |\n",
        settings.nodes,
        what(settings),
        settings.paths,
        figures.rounds,
        figures.messages,
        figures.in_total,
        100.0 * figures.success(),
        times(figures),
        tables.bytes,
        tables.waiting,
    )
}

/// Rounds against the number of nodes, beside the ideal.
pub fn plot(all: &[Figures]) -> String {
    let points = || all.iter().flat_map(|figures| [figures.rounds, figures.ideal.0]);
    let most = points().fold(0.5, f64::max);
    let height = |value: f64| ((value / most) * (HEIGHT - 1) as f64).round() as usize;
    let mut plot = String::from("rounds    * DVS   o ideal   @ both\n");
    for line in (0..HEIGHT).rev() {
        let _ = write!(plot, "{:5.2} |", most * line as f64 / (HEIGHT - 1) as f64);
        for figures in all {
            let mark = match (height(figures.rounds) == line, height(figures.ideal.0) == line) {
                (true, true) => "@",
                (true, false) => "*",
                (false, true) => "o",
                (false, false) => " ",
            };
            let _ = write!(plot, "{mark:^WIDTH$}");
        }
        plot.truncate(plot.trim_end().len());
        plot.push('\n');
    }
    let nodes: String = all.iter().map(|figures| format!("{:^WIDTH$}", figures.settings.nodes)).collect();
    let _ = writeln!(plot, "      +{}\nnodes  {}", "-".repeat(WIDTH * all.len()), nodes.trim_end());
    plot
}

fn compared(ours: f64, ideal: f64, ratio: f64) -> String {
    format!("{ours:.2}   ideal {ideal:.2}   x {ratio:.2}")
}

fn times(figures: &Figures) -> String {
    let millis = |percent| format!("{:.0}", figures.percentile(percent).as_secs_f64() * 1e3);
    [50, 95, 99].map(millis).join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::lookups::Lookups;

    fn figures(nodes: usize, rounds: f64, ideal: f64) -> Figures {
        let mut figures = Figures::of(&Settings::healthy(nodes, 1), &Lookups::default());
        (figures.rounds, figures.ideal) = (rounds, (ideal, 3.0 * ideal));
        figures
    }

    #[test]
    fn the_plot_has_a_mark_for_each_network_and_its_ideal() {
        let plot = plot(&[figures(1_000, 1.0, 1.0), figures(10_000, 2.0, 1.5)]);
        let (_, marks) = plot.split_once('\n').unwrap();
        let count = |mark| marks.matches(mark).count();
        assert_eq!((count('@'), count('*'), count('o')), (1, 1, 2), "{plot}");
    }

    #[test]
    fn a_row_has_as_many_columns_as_the_header() {
        let columns = |line: &str| line.matches('|').count();
        let header: Vec<usize> = HEADER.lines().map(columns).collect();
        assert_eq!(header, [columns(&row(&figures(1_000, 1.0, 1.0))); 2]);
    }
}
