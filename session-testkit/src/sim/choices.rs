//! The one source of decisions.

/// Everything that is random in a run comes from here, so that a run is its list of choices.
///
/// Zero is always the plainest choice: no fault, go on in order. A recorded list that runs out
/// goes on with zeros, and a number that is too large for its choice counts as the largest that
/// fits: whatever is cut out of a list, the rest is a list.
#[derive(Debug, Clone)]
pub struct Choices {
    source: Source,
    taken: Vec<u32>,
    widths: Vec<u32>,
}

#[derive(Debug, Clone)]
enum Source {
    Recorded(Vec<u32>),
    Seed(u64),
}

impl Choices {
    /// The choices of a seed.
    #[must_use]
    pub const fn of_seed(seed: u64) -> Self {
        Self::from(Source::Seed(seed))
    }

    /// These choices, then zeros.
    #[must_use]
    pub const fn recorded(list: Vec<u32>) -> Self {
        Self::from(Source::Recorded(list))
    }

    const fn from(source: Source) -> Self {
        Self {
            source,
            taken: Vec::new(),
            widths: Vec::new(),
        }
    }

    /// One of these, by weight: its place. Where there is nothing to choose, nothing is recorded.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        if weights.len() < 2 {
            return 0;
        }
        let last = weights.len() - 1;
        let place = match &mut self.source {
            Source::Recorded(list) => list
                .get(self.taken.len())
                .map_or(0, |&choice| usize::try_from(choice).unwrap_or(last)),
            Source::Seed(state) => {
                let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
                place_of(splitmix(state) % total.max(1), weights)
            }
        };
        self.record(place.min(last), weights.len())
    }

    /// From 0 up to and without `n`, each as likely as the others.
    pub fn below(&mut self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let place = match &mut self.source {
            Source::Recorded(list) => list
                .get(self.taken.len())
                .map_or(0, |&choice| usize::try_from(choice).unwrap_or(n)),
            Source::Seed(state) => {
                let n = u64::try_from(n).unwrap_or(u64::MAX);
                usize::try_from(splitmix(state) % n).unwrap_or(0)
            }
        };
        self.record(place.min(n - 1), n)
    }

    /// From the first to the last, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        let width = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX - 1);
        let more = u64::try_from(self.below(width + 1)).unwrap_or(0);
        first.saturating_add(more)
    }

    /// Whether something happens that does so this often in a thousand times. Plain is that it
    /// does not; what never happens is no choice.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.weighted(&[1000_u32.saturating_sub(per_mille), per_mille]) == 1
    }

    /// One of these; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(from.len());
        from.get(place)
    }

    /// What was chosen so far.
    #[must_use]
    pub fn taken(&self) -> &[u32] {
        &self.taken
    }

    /// How many choices of a recorded list are still to come.
    pub(super) fn left(&self) -> usize {
        match &self.source {
            Source::Recorded(list) => list.len().saturating_sub(self.taken.len()),
            Source::Seed(_) => 0,
        }
    }

    /// Among how many each was chosen.
    pub(super) fn widths(&self) -> &[u32] {
        &self.widths
    }

    fn record(&mut self, place: usize, width: usize) -> usize {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.taken.push(number(place));
        self.widths.push(number(width));
        place
    }
}

fn place_of(mut roll: u64, weights: &[u32]) -> usize {
    for (place, &weight) in weights.iter().enumerate() {
        let weight = u64::from(weight);
        if roll < weight {
            return place;
        }
        roll -= weight;
    }
    0
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(mut choices: Choices) -> (Vec<usize>, Vec<u32>) {
        let played = (0..40)
            .map(|n| match n % 3 {
                0 => choices.below(7),
                1 => choices.weighted(&[5, 1, 0, 3]),
                _ => usize::from(choices.chance(300)),
            })
            .collect();
        (played, choices.taken().to_vec())
    }

    #[test]
    fn the_recorded_list_of_a_seed_plays_the_same() {
        let (played, list) = play(Choices::of_seed(9));
        assert_eq!(
            play(Choices::recorded(list.clone())),
            (played.clone(), list)
        );
        assert_ne!(play(Choices::of_seed(10)).0, played);
    }

    #[test]
    fn a_list_that_runs_out_is_plain_and_a_number_too_large_is_the_largest() {
        let (played, _) = play(Choices::recorded(vec![99, 99]));
        assert_eq!(played[..2], [6, 3]);
        assert!(played[2..].iter().all(|&choice| choice == 0));
    }

    #[test]
    fn what_never_happens_and_what_has_no_rival_is_no_choice() {
        let mut choices = Choices::of_seed(1);
        assert!(!choices.chance(0));
        assert_eq!((choices.below(1), choices.weighted(&[4])), (0, 0));
        assert!(choices.taken().is_empty());
    }

    #[test]
    fn what_weighs_nothing_is_never_drawn() {
        let mut choices = Choices::of_seed(3);
        assert!((0..1000).all(|_| choices.weighted(&[1, 0, 1]) != 1));
    }
}
