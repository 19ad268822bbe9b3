//! What every store must do. Each case is written against `dyn Store` and runs on each store;
//! what only one of them has (files, other processes) is tested beside it.

#[path = "store_conformance/ageing.rs"]
mod ageing;
#[path = "store_conformance/bulk_resending.rs"]
mod bulk_resending;
#[path = "store_conformance/claiming.rs"]
mod claiming;
#[path = "store_conformance/endpoints.rs"]
mod endpoints;
#[path = "store_conformance/events.rs"]
mod events;
#[path = "store_conformance/leases.rs"]
mod leases;
#[path = "store_conformance/ledger.rs"]
mod ledger;
#[path = "store_conformance/lists.rs"]
mod lists;
#[path = "store_conformance/log.rs"]
mod log;
#[path = "store_conformance/passes.rs"]
mod passes;
#[path = "store_conformance/publishing.rs"]
mod publishing;
#[path = "store_conformance/recording.rs"]
mod recording;
#[path = "store_conformance/resending.rs"]
mod resending;
#[path = "store_conformance/sqlite_file.rs"]
mod sqlite_file;
#[path = "store_conformance/stopping.rs"]
mod stopping;
#[path = "store_conformance/tenants.rs"]
mod tenants;
#[path = "store_conformance/world.rs"]
mod world;

macro_rules! cases {
    ($store:ident, $backend:expr; $($module:ident::$case:ident,)*) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(crate::world::World::new(Box::new($backend))).await;
                }
            )*
        }
    };
}

/// All cases on one store. A case that isn't named here is reported by the compiler as unused.
macro_rules! conformance {
    ($store:ident, $backend:expr) => {
        cases! { $store, $backend;
            tenants::keys_are_found_by_their_hash_until_they_are_revoked,
            tenants::an_application_is_found_by_id_and_by_uid,
            tenants::uids_are_unique_among_live_applications_of_an_environment,
            tenants::an_update_replaces_uid_name_and_metadata,
            tenants::other_environments_see_nothing,
            tenants::deleting_an_application_deletes_its_endpoints_and_discards_what_was_pending,
            tenants::event_types_are_kept_by_environment,
            tenants::endpoints_without_secrets_of_their_own_share_their_applications,
            endpoints::an_endpoint_reads_back_as_written,
            endpoints::uids_and_names_are_unique_where_they_must_be,
            endpoints::an_application_has_no_more_endpoints_than_the_limit,
            endpoints::a_change_from_an_older_revision_is_a_conflict,
            endpoints::other_applications_see_nothing,
            endpoints::deleting_an_endpoint_discards_what_was_pending,
            endpoints::a_deletion_with_a_large_backlog_counts_at_once,
            endpoints::enabling_a_paused_endpoint_clears_its_health,
            publishing::a_message_makes_a_delivery_for_each_endpoint_that_takes_it,
            publishing::a_group_is_taken_with_whatever_is_published_in_it,
            publishing::a_message_for_one_endpoint_goes_nowhere_else,
            publishing::a_message_for_active_endpoints_does_not_wait_at_the_others,
            publishing::without_room_or_while_paused_a_delivery_waits_in_the_store,
            publishing::the_payload_keeps_its_bytes,
            publishing::an_event_id_is_taken_once_per_application,
            publishing::a_key_for_one_application_publishes_for_no_other,
            publishing::a_conflict_among_many_fails_alone,
            publishing::callers_that_go_away_do_no_harm,
            publishing::ten_threads_publish_and_record_at_the_same_time,
            publishing::a_room_that_panics_fails_its_own_message_and_loses_no_other,
            publishing::what_its_publisher_gave_up_is_not_stored,
            events::events_come_in_the_order_of_their_commits,
            events::a_page_of_events_has_a_limit_of_events_and_of_bytes,
            events::looking_for_a_rare_type_is_done_in_steps,
            events::events_are_read_while_their_application_lives,
            events::whoever_reads_while_others_publish_misses_nothing,
            claiming::what_is_due_is_claimed_oldest_first,
            claiming::a_claim_stops_at_so_many_bytes,
            claiming::nothing_is_claimed_twice_until_its_lease_runs_out,
            claiming::the_next_due_time_is_the_earliest_of_what_is_left,
            claiming::only_live_enabled_endpoints_are_claimed_for,
            claiming::a_released_claim_is_due_as_it_was,
            claiming::a_node_releases_only_its_own_claims,
            claiming::recovery_voids_all_leases_and_later_ones_count_again,
            claiming::the_backlog_names_each_deliverable_endpoint_once,
            claiming::everything_is_still_there_after_a_restart,
            leases::a_late_failure_leaves_the_newer_claim_alone,
            leases::a_late_release_leaves_the_newer_claim_alone,
            leases::a_late_success_of_the_same_turn_counts,
            leases::what_was_resent_is_not_moved_by_the_attempt_before,
            recording::each_outcome_moves_its_delivery_on,
            recording::an_attempt_is_recorded_once,
            recording::late_outcomes_change_nothing_but_the_list_of_attempts,
            recording::failures_in_a_row_pause_the_endpoint,
            recording::too_many_failures_within_a_window_pause_the_endpoint,
            recording::failing_for_long_pauses_the_endpoint,
            recording::health_survives_a_restart,
            recording::a_receiver_that_is_gone_disables_the_endpoint,
            recording::attempts_count_in_the_order_in_which_they_ended,
            resending::a_finished_delivery_starts_a_new_round,
            resending::a_pending_delivery_becomes_due_at_once,
            resending::an_endpoint_that_never_took_the_message_gets_it,
            resending::what_can_not_be_resent_is_refused,
            bulk_resending::each_kind_sends_its_own_and_nothing_else,
            bulk_resending::a_resend_keeps_to_its_time_and_its_filter,
            bulk_resending::what_is_missing_is_what_the_endpoint_takes,
            bulk_resending::steps_are_small_and_go_on_after_a_restart,
            bulk_resending::an_ordered_endpoint_gets_them_in_order,
            bulk_resending::a_cancelled_resend_queues_nothing_more,
            bulk_resending::a_resend_ends_where_its_endpoint_does,
            bulk_resending::resends_go_with_their_endpoint,
            bulk_resending::a_resend_waits_for_what_keeps_failing,
            bulk_resending::a_broken_resend_can_be_ended,
            bulk_resending::an_application_counts_once_at_a_time,
            bulk_resending::only_so_many_run_at_a_time,
            bulk_resending::resends_are_listed_for_whom_they_belong_to,
            stopping::a_discard_takes_what_waited_when_it_began_and_nothing_later,
            stopping::the_history_keeps_its_order_and_its_length,
            stopping::enabling_clears_the_health_and_says_that_it_resumed,
            stopping::who_listens_is_told_with_the_outcome_itself,
            lists::pages_walk_in_either_direction,
            lists::messages_are_filtered,
            lists::attempts_are_filtered,
            lists::attempts_read_back_as_recorded,
            log::deliveries_are_found_by_how_they_stand,
            log::a_line_tells_of_the_last_attempt,
            log::the_log_walks_in_either_direction_and_skips_nothing,
            log::the_log_of_another_application_is_not_found,
            log::attempts_are_counted_by_hour_and_by_minute,
            log::looking_for_a_rare_delivery_is_done_in_steps,
            log::an_ordered_endpoints_next_attempt_is_its_retry,
            log::only_the_first_attempt_of_the_schedule_tells_of_latency,
            log::counts_are_whole_while_they_are_written_and_after_a_restart,
            log::an_environment_tells_what_waits_and_who_is_in_trouble,
            passes::a_pass_is_found_by_its_hash_and_kind_until_it_expires,
            passes::a_link_lets_in_once,
            passes::a_portal_is_closed_for_its_application_alone,
            ageing::what_is_old_goes_whole_and_step_by_step,
            ageing::what_is_pending_is_left_until_it_has_ended,
            ageing::content_goes_first_and_the_log_line_stays,
            ageing::each_environment_has_its_own_time,
            ageing::ids_go_on_growing_when_the_newest_message_was_removed,
            ageing::an_outcome_that_comes_too_late_leaves_nothing_behind,
            ledger::it_adds_up_after_every_step_of_a_random_history,
        }
    };
}

conformance!(sqlite, crate::sqlite_file::SqliteFile::default());
