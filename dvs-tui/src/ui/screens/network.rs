// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay network.

use dvs_proto::message::Peer;
use ratatui::text::{Line, Span};

use super::bars;
use crate::ui::app::App;
use crate::ui::overlay;
use crate::ui::text::{self, fit, labelled, short_id};
use crate::ui::widgets::sparkline;

const LABEL: usize = 12;
/// Columns of an ID, a round-trip time and an age.
const ID: usize = 13;
const RTT: usize = 7;
const HEARD: usize = 7;

/// All lines about the network, `columns` wide.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line<'static>> {
    let mut state = vec![Span::styled(format!(" {:<LABEL$}", "state"), app.theme().faint())];
    state.extend(bars::connection(app));
    let mut lines = vec![Line::from(state)];
    lines.extend(bars::advice(app, columns));
    for (name, value) in rows(app) {
        lines.extend(labelled(name, LABEL, &value, columns, app.theme()));
    }
    lines.push(Line::default());
    let clients: Vec<String> = app.daemon.clients.iter().map(|client| client.name.clone()).collect();
    lines.extend(labelled("clients", LABEL, &list(&clients), columns, app.theme()));
    lines.extend(labelled("daemon", LABEL, &app.daemon.version, columns, app.theme()));
    lines.extend(peers(app, columns));
    lines
}

fn rows(app: &App) -> Vec<(&'static str, String)> {
    let (network, theme) = (&app.daemon.network, app.theme());
    let buckets: Vec<String> = network
        .buckets
        .iter()
        .map(|(index, count)| format!("{index}:{}{count}", overlay::bar(*count, theme)))
        .collect();
    let drops: Vec<String> = network.drops.iter().map(|(why, count)| format!("{why} {count}")).collect();
    let mut seen = overlay::addresses(network);
    if seen.is_empty() {
        seen.push(("seen as", "not known yet".to_owned()));
    }
    let mut rows = vec![("role", overlay::role(network.role).to_owned()), ("listening", network.listen.clone())];
    rows.extend(seen);
    rows.extend([
        ("network", overlay::size(network)),
        ("table", overlay::table(network)),
        ("buckets", list(&buckets)),
        ("lookups", overlay::lookups(network)),
    ]);
    if !network.recent_ms.is_empty() {
        let newest = network.recent_ms.last().copied().unwrap_or_default();
        let trail = sparkline::row(network.recent_ms.iter().copied(), theme);
        rows.push(("recent", format!("{trail}\u{a0}the\u{a0}last\u{a0}in\u{a0}{newest}\u{a0}ms")));
    }
    rows.extend([("punched", overlay::punched(network)), ("dropped", list(&drops))]);
    rows
}

/// Many small values; none is ever broken.
fn list(values: &[String]) -> String {
    // A blank inside of a value must not become the end of a row.
    let glued: Vec<String> = values.iter().map(|value| value.replace(' ', "\u{a0}")).collect();
    if glued.is_empty() { "none".to_owned() } else { glued.join(", ") }
}

/// The nodes known, closest first; their addresses have rows of their own where there is no room beside.
fn peers(app: &App, columns: usize) -> Vec<Line<'static>> {
    let (peers, theme) = (&app.daemon.network.peers, app.theme());
    if peers.is_empty() {
        return Vec::new();
    }
    let widest = peers.iter().map(|peer| text::width(&peer.address)).max().unwrap_or(0).max("address".len());
    let beside = columns > ID + RTT + HEARD + "good  proven".len() + 10 + widest;
    let cells = |id: &str, address: &str, rtt: &str, heard: &str, good: &str, proven: &str| {
        let address = if beside { format!("{}  ", fit(address, widest, theme)) } else { String::new() };
        format!(" {}  {address}{rtt:>RTT$}  {heard:>HEARD$}  {}  {proven}", fit(id, ID, theme), fit(good, 4, theme))
    };
    let mut lines = vec![Line::default()];
    lines.push(Line::styled(cells("closest nodes", "address", "RTT", "heard", "good", "proven"), theme.faint()));
    let mark = |on| if on { theme.symbols.good } else { theme.symbols.empty };
    for peer in peers {
        let Peer { id, address, rtt_us, good, proven, .. } = peer;
        let (rtt, heard) = (overlay::rtt(*rtt_us), overlay::heard(peer));
        lines.push(Line::raw(cells(&short_id(id, theme), address, &rtt, &heard, mark(*good), mark(*proven))));
        if !beside {
            lines.push(Line::raw(format!("   {address}")));
        }
    }
    lines
}
