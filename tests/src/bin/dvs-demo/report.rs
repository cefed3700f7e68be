// SPDX-License-Identifier: GPL-3.0-or-later
//! What the demo measured, and what it must be.

use core::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// What a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
    /// Shown, but judged by nobody: a sound card of this machine is part of it.
    Anything,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Exactly(bound) => value == bound,
            Self::Anything => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("<= {bound}"),
            Self::AtLeast(bound) => format!(">= {bound}"),
            Self::Exactly(bound) => format!("= {bound}"),
            Self::Anything => String::new(),
        }
    }
}

/// One figure.
pub(crate) struct Figure {
    /// Its name in the JSON object.
    pub(crate) key: &'static str,
    /// What it says.
    pub(crate) meaning: &'static str,
    /// `None` when it could not be measured, which is a miss unless the bound is [`Bound::Anything`].
    pub(crate) value: Option<f64>,
    /// What it must be.
    pub(crate) bound: Bound,
}

impl Figure {
    fn is_good(&self) -> bool {
        match self.value {
            Some(value) => self.bound.holds(value),
            None => matches!(self.bound, Bound::Anything),
        }
    }
}

/// All figures of one run.
pub(crate) struct Figures(pub(crate) Vec<Figure>);

impl Figures {
    /// A table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for figure in &self.0 {
            let value = figure.value.map_or_else(|| "?".to_owned(), |value| number(value).to_string());
            let verdict = if figure.is_good() { "ok" } else { "MISSED" };
            let Figure { key, meaning, bound, .. } = figure;
            let _ = writeln!(table, "{key:<17} {value:>8}   {:<8} {verdict:<7} {meaning}", bound.text());
        }
        table
    }

    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        let value = |figure: &Figure| figure.value.map_or(Value::Null, |value| Value::Number(number(value)));
        let mut object: Map<String, Value> =
            self.0.iter().map(|figure| (figure.key.to_owned(), value(figure))).collect();
        object.insert("ok".to_owned(), Value::Bool(self.misses().is_empty()));
        Value::Object(object).to_string()
    }

    /// One sentence per figure that is not as it must be.
    pub(crate) fn misses(&self) -> Vec<String> {
        let miss = |figure: &Figure| match figure.value {
            Some(value) => format!("{} is {}, and must be {}", figure.key, number(value), figure.bound.text()),
            None => format!("{} could not be measured", figure.key),
        };
        self.0.iter().filter(|figure| !figure.is_good()).map(miss).collect()
    }
}

/// `value` to three decimals, whole numbers without any.
fn number(value: f64) -> Number {
    let rounded = (value * 1000.0).round() / 1000.0;
    if rounded.fract() == 0.0 {
        Number::from(rounded as i64)
    } else {
        Number::from_f64(rounded).unwrap_or_else(|| Number::from(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(key: &'static str, value: Option<f64>, bound: Bound) -> Figure {
        Figure { key, meaning: "", value, bound }
    }

    #[test]
    fn good_figures_are_reported_as_one_line_of_json() {
        let figures = Figures(vec![
            figure("packet_bytes", Some(93.0), Bound::Exactly(93.0)),
            figure("correlation", Some(0.93149), Bound::AtLeast(0.85)),
        ]);
        assert_eq!(figures.json(), r#"{"correlation":0.931,"ok":true,"packet_bytes":93}"#);
        assert!(figures.misses().is_empty());
    }

    #[test]
    fn every_figure_out_of_bounds_or_not_measured_is_named() {
        let figures = Figures(vec![
            figure("echo_ms", Some(121.5), Bound::AtMost(120.0)),
            figure("ring_ms", None, Bound::AtMost(50.0)),
            figure("free", None, Bound::Anything),
        ]);
        assert_eq!(figures.misses(), ["echo_ms is 121.5, and must be <= 120", "ring_ms could not be measured"]);
        assert_eq!(figures.json(), r#"{"echo_ms":121.5,"free":null,"ok":false,"ring_ms":null}"#);
        assert_eq!(figures.table().matches("MISSED").count(), 2);
    }
}
