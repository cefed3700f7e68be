// SPDX-License-Identifier: GPL-3.0-or-later
//! A short history as a row of little bars.

use crate::ui::theme::Theme;

/// One column per value, scaled to the largest of them, and so that what hardly changes stays low.
pub(crate) fn row(values: impl IntoIterator<Item = u32>, theme: Theme) -> String {
    let values: Vec<u32> = values.into_iter().collect();
    let (least, most) = (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0));
    let largest = u64::from(most).max(4 * u64::from(least)).max(1);
    let steps = theme.symbols.spark;
    let top = steps.len() as u64 - 1;
    let step = |value: u32| usize::try_from((u64::from(value) * top).div_ceil(largest)).unwrap_or(0);
    values.into_iter().filter_map(|value| steps.get(step(value)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_the_highest_bar() {
        assert_eq!(row([0, 10, 20, 70], Theme::new(true, false)), "▁▂▃█");
        assert_eq!(row([0, 0], Theme::new(true, false)), "▁▁");
        assert_eq!(row([30, 31, 29], Theme::new(true, false)), "▃▃▃");
        assert_eq!(row([], Theme::new(true, false)), "");
        assert_eq!(row([u32::MAX, 1], Theme::new(false, false)), "#.");
    }
}
