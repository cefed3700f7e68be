// SPDX-License-Identifier: GPL-3.0-or-later
//! A short history as a row of little bars.

use crate::ui::theme::Theme;

/// One column per value, scaled to the largest of them.
pub(crate) fn row(values: impl IntoIterator<Item = u32>, theme: Theme) -> String {
    let values: Vec<u32> = values.into_iter().collect();
    let largest = u64::from(values.iter().copied().max().unwrap_or(0).max(1));
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
        assert_eq!(row([], Theme::new(true, false)), "");
        assert_eq!(row([u32::MAX, 1], Theme::new(false, false)), "#.");
    }
}
