//! What every backend has to pass (H-4): one function per rule, generic over how a store is made.
//!
//! A backend calls [`conformance_tests!`](crate::conformance_tests) in its tests, which makes a test of each rule. The functions
//! panic where a rule is broken, as tests do.

use crate::{Blow, Retention, Store, SyncId};

mod documents;
mod durability;
mod history;
mod triple;
mod world;

pub use documents::{
    a_deleted_document_is_gone_and_its_generation_goes_on, a_document_is_compared_only_when_asked,
    documents_of_a_kind_are_listed_in_pages,
};
pub use durability::{
    a_flipped_bit_is_noticed, a_lost_record_is_noticed, what_was_written_is_there_after_opening_again,
};
pub use history::{
    a_compaction_forgets_by_age_and_number, a_filter_lets_only_its_subtree_and_roles_pass,
    a_gone_node_is_forgotten_after_the_history_of_it, a_reader_ahead_of_the_store_begins_anew,
    a_reader_that_is_too_far_behind_begins_anew, changes_are_read_in_pages_without_a_gap,
    records_of_a_node_are_numbered_without_a_gap, the_history_stays_within_its_caps,
    the_past_is_reached_by_reverting, watchers_are_woken_by_changes_only,
};
pub use triple::{
    a_batch_is_written_whole_or_not_at_all, a_node_comes_back_only_in_a_new_incarnation,
    a_removed_node_stays_readable_and_marked, a_stale_writer_gets_a_conflict,
    an_identity_is_written_once_per_incarnation, an_observation_that_says_the_same_is_no_change,
    changes_of_a_former_incarnation_come_too_late, changes_of_one_batch_see_each_other,
    nodes_are_listed_in_the_order_of_paths, the_same_name_under_two_parents_are_two_nodes,
    the_triple_is_kept_with_its_times_and_generations,
};

/// How a backend's stores are made, opened again and hurt.
pub trait Harness {
    /// The backend.
    type Store: Store + 'static;

    /// A new, empty store. It keeps the caps on number and size of records after each write.
    fn create(&self, limits: Retention) -> Self::Store;

    /// The same store after an orderly end of the process; a store that doesn't outlive its process gives itself.
    fn reopen(&self, store: Self::Store) -> Self::Store;

    /// The same store with a damaged record; none when the damage was noticed at opening already.
    fn hurt(&self, store: Self::Store, at: SyncId, blow: Blow) -> Option<Self::Store>;
}

/// Makes a test of each rule of [`conformance`](crate::conformance) for a harness.
///
/// ```
/// # struct Memory;
/// # impl fsm_store::conformance::Harness for Memory {
/// #     type Store = fsm_store::MemoryStore;
/// #     fn create(&self, limits: fsm_store::Retention) -> Self::Store { fsm_store::MemoryStore::new(limits) }
/// #     fn reopen(&self, store: Self::Store) -> Self::Store { store }
/// #     fn hurt(&self, store: Self::Store, at: fsm_store::SyncId, blow: fsm_store::Blow) -> Option<Self::Store> {
/// #         store.hurt(at, blow).then_some(store)
/// #     }
/// # }
/// fsm_store::conformance_tests!(Memory);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_tests!(@each $harness,
            the_triple_is_kept_with_its_times_and_generations
            a_stale_writer_gets_a_conflict
            an_identity_is_written_once_per_incarnation
            an_observation_that_says_the_same_is_no_change
            changes_of_a_former_incarnation_come_too_late
            a_removed_node_stays_readable_and_marked
            a_node_comes_back_only_in_a_new_incarnation
            a_batch_is_written_whole_or_not_at_all
            changes_of_one_batch_see_each_other
            the_same_name_under_two_parents_are_two_nodes
            nodes_are_listed_in_the_order_of_paths
            a_document_is_compared_only_when_asked
            a_deleted_document_is_gone_and_its_generation_goes_on
            documents_of_a_kind_are_listed_in_pages
            changes_are_read_in_pages_without_a_gap
            a_filter_lets_only_its_subtree_and_roles_pass
            a_reader_that_is_too_far_behind_begins_anew
            a_reader_ahead_of_the_store_begins_anew
            records_of_a_node_are_numbered_without_a_gap
            the_past_is_reached_by_reverting
            the_history_stays_within_its_caps
            a_compaction_forgets_by_age_and_number
            a_gone_node_is_forgotten_after_the_history_of_it
            watchers_are_woken_by_changes_only
            what_was_written_is_there_after_opening_again
            a_flipped_bit_is_noticed
            a_lost_record_is_noticed
        );
    };
    (@each $harness:expr, $($rule:ident)+) => {
        $(
            #[test]
            fn $rule() {
                $crate::conformance::$rule(&$harness);
            }
        )+
    };
}
