//! Figures, and how they stand to the goals.

/// The middle of some measurements; of an even number the lower of the two in the middle.
#[must_use]
pub fn median<T: PartialOrd + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The goals held against what was measured.
#[derive(Clone, Debug, Default)]
pub struct Goals {
    missed: Vec<String>,
    met: usize,
}

impl Goals {
    /// Prints one goal with its figure, and whether it is met.
    pub fn hold(&mut self, met: bool, goal: &str, figure: &str) {
        let word = if met { "met   " } else { "MISSED" };
        println!("  {word} {goal}: {figure}");
        if met {
            self.met += 1;
        } else {
            self.missed.push(format!("{goal}: {figure}"));
        }
    }

    /// Prints what was missed.
    pub fn sum_up(&self) {
        println!("\n{} goals met, {} missed", self.met, self.missed.len());
        for missed in &self.missed {
            println!("  MISSED {missed}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4, 1, 3, 2]), Some(2));
        assert_eq!(median::<u8>(&[]), None);
    }
}
