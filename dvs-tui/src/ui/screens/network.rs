// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay network.

use ratatui::text::{Line, Span};

use super::bars;
use crate::ui::app::App;
use crate::ui::text::labelled;

const LABEL: usize = 14;

/// All lines about the network, `columns` wide.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line<'static>> {
    let network = &app.daemon.network;
    let label = |text: &str| Span::styled(format!(" {text:<LABEL$}"), app.theme().faint());
    let row = |name: &str, value: String| Line::from(vec![label(name), Span::raw(value)]);
    let mut state = vec![label("state")];
    state.extend(bars::connection(app));
    let mut lines = vec![Line::from(state), row("listening on", network.listen.clone())];
    lines.push(row("seen as", network.observed.clone().unwrap_or_else(|| "not known yet".to_owned())));
    lines.push(row("good peers", format!("{} of {}", network.good, network.nodes)));
    lines.push(row("lookups", lookups(app)));
    let buckets: Vec<String> = network.buckets.iter().map(|(index, count)| format!("{index}:{count}")).collect();
    lines.extend(list("buckets", &buckets, columns, app));
    let drops: Vec<String> = network.drops.iter().map(|(why, count)| format!("{why} {count}")).collect();
    lines.extend(list("dropped", &drops, columns, app));
    let clients: Vec<String> = app.daemon.clients.iter().map(|client| client.name.clone()).collect();
    lines.push(Line::default());
    lines.extend(list("clients", &clients, columns, app));
    lines.push(row("daemon", app.daemon.version.clone()));
    lines.push(Line::default());
    lines.extend(bars::advice(app, columns));
    lines
}

fn lookups(app: &App) -> String {
    let network = &app.daemon.network;
    let Some(percent) = (u64::from(network.lookups_found) * 100).checked_div(u64::from(network.lookups)) else {
        return "none yet".to_owned();
    };
    let median = network.lookup_ms.map(|ms| format!(", usually in {ms} ms")).unwrap_or_default();
    format!("{}, {percent} % found{median}", network.lookups)
}

/// A label and many small values; a value is never broken.
fn list(name: &str, values: &[String], columns: usize, app: &App) -> Vec<Line<'static>> {
    // A blank inside of a value must not become the end of a row.
    let glued: Vec<String> = values.iter().map(|value| value.replace(' ', "\u{a0}")).collect();
    let text = if glued.is_empty() { "none".to_owned() } else { glued.join(", ") };
    labelled(name, LABEL, &text, columns, app.theme())
}
