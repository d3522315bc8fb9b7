"""
What breaks in two-way sync, and where each thing is held: the twenty failure modes of the specification, scenario by scenario.

Each row is one thing that must not happen, or must; the tests named beside it hold it. `SIMULATED` holds all of them at once,
in random worlds: what is lost, doubled or unaccounted for there fails whatever the cause.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SIMULATED = (
    "simulation/test_simulated_histories.py::no_history_breaks_a_rule",
    "simulation/test_every_boundary.py::one_blow_at_a_boundary_breaks_nothing",
)

SCENARIOS: dict[str, dict[str, tuple[str, ...]]] = {
    "1 echo loop": {
        "our own write comes back in the feed": (
            "engine/test_echo.py::what_we_wrote_comes_back_in_the_change_feed_and_causes_nothing",
            "e2e/test_records_echo.py::the_first_sync_goes_both_ways_and_then_there_is_silence",
        ),
        "a workflow changes another field because of it": (
            "engine/test_echo.py::a_workflow_that_changes_another_field_because_of_our_write_travels_once",
            "e2e/test_records_echo.py::what_a_workflow_changes_after_our_write_travels_once",
        ),
        "a workflow undoes it": ("e2e/test_records_echo.py::a_workflow_that_undoes_our_write_is_an_edit_and_no_loop",),
        "known by content, not by a time window": (
            "engine/test_echo.py::an_echo_is_known_by_its_content_also_where_the_system_makes_a_new_version_of_everything",
            "e2e/test_records_echo.py::a_workflow_within_the_same_instant_is_still_somebody_elses_change",
        ),
    },
    "2 lost reply on create": {
        "exactly one record, whatever the system can tell": (
            "engine/test_lost_answers.py::a_create_whose_answer_is_lost_makes_exactly_one_record",
            "e2e/test_records_lost_answers.py::a_contact_whose_create_was_not_answered_exists_once",
            "e2e/test_records_lost_answers.py::a_company_whose_create_was_not_answered_exists_once",
            "e2e/test_http_faults.py::a_write_without_a_plain_answer_is_in_doubt_and_is_sent_once",
        ),
        "looked up before anything is sent again": (
            "engine/test_lost_answers.py::nothing_is_decided_about_a_create_in_doubt_while_it_may_still_arrive",
            "e2e/test_records_lost_answers.py::nothing_is_created_again_while_the_first_request_may_still_arrive",
        ),
        "parked where nobody can tell": (
            "engine/test_lost_answers.py::a_keyless_create_in_doubt_is_parked_for_a_human_as_soon_as_an_unexplained_record_shows_up",
        ),
    },
    "3 crash between write and save": {
        "kill -9 at random instants and exact points": (
            "e2e/test_kill.py::a_town_whose_syncs_are_killed_ends_like_one_whose_syncs_are_not",
        ),
        "at every commit and every write": (
            "engine/test_state_and_overlap.py::a_crash_at_any_commit_ends_as_if_it_had_not_been",
            "engine/test_state_and_overlap.py::a_crash_at_any_write_ends_as_if_it_had_not_been",
            "e2e/test_records_lost_answers.py::a_process_that_dies_around_a_write_leaves_nothing_twice",
        ),
        "in the middle of a first sync": (
            "engine/test_interrupted_creates.py::a_first_sync_that_was_interrupted_goes_on_unasked",
            "engine/test_interrupted_creates.py::a_batch_that_arrived_is_recognised_by_its_keys",
        ),
    },
    "4 empty or short listing": {
        "an empty answer deletes nothing": (
            "engine/test_listings.py::a_listing_that_comes_back_empty_deletes_nothing_while_the_records_are_there_by_id",
            "e2e/test_records_listings.py::a_listing_that_is_empty_short_or_broken_deletes_nothing",
        ),
        "a page that fails ends the run, the cursor stays": (
            "engine/test_listings.py::a_page_that_cannot_be_read_ends_the_run_before_anything_is_written",
            "engine/test_cursors.py::a_run_that_fails_keeps_its_cursor_so_that_nothing_is_missed",
            "e2e/test_records_listings.py::a_listing_that_fails_half_way_keeps_the_cursor",
        ),
        "a short one makes no twins": (
            "engine/test_listings.py::a_short_first_listing_makes_no_twin_of_a_record_that_it_left_out",
        ),
        "an emptied side is refused": (
            "engine/test_listings.py::a_side_that_really_lost_everything_is_refused_by_the_guard_until_somebody_approves",
            "e2e/test_records_listings.py::an_emptied_crm_is_refused",
        ),
        "an error page is no empty page": (
            "e2e/test_http_faults.py::a_listing_that_is_refused_or_makes_no_sense_ends_the_run_at_once",
        ),
    },
    "5 scope exit looks like delete": {
        "leaving the filter suspends": (
            "engine/test_filters.py::leaving_the_filter_suspends_the_link_and_deletes_nothing",
            "e2e/test_records_listings.py::leaving_the_filter_pauses_and_never_deletes",
        ),
        "a changed filter needs a word": (
            "engine/test_filters.py::a_changed_filter_needs_approval_where_it_writes_and_never_deletes",
        ),
        "lost rights are no deletions": (
            "e2e/test_records_listings.py::contacts_that_the_key_may_no_longer_see_are_not_taken_for_deleted_without_limit",
            "e2e/test_records_listings.py::an_object_that_the_key_may_no_longer_see_stops_the_pair",
            "engine/test_listings.py::gone_counts_only_from_a_side_that_still_shows_something_it_is_known_to_hold",
        ),
    },
    "6 mass change": {
        "too many deletes": (
            "engine/test_guards.py::too_many_deletes_are_refused_before_the_first_write",
            "engine/test_guards.py::deletes_add_up_over_a_day_so_that_small_runs_leak_nothing",
            "e2e/test_records_listings.py::many_archived_contacts_are_refused_and_few_are_not",
        ),
        "too many updates": (
            "engine/test_guards.py::too_many_updates_are_refused_as_a_broken_transform_would_make_them",
            "e2e/test_records_listings.py::a_mass_change_of_values_is_refused",
        ),
        "too many creates": ("engine/test_guards.py::too_many_creates_are_refused_once_links_exist",),
        "a guard that breaks refuses": ("security/test_limits.py::a_guard_that_itself_breaks_lets_nothing_pass",),
    },
    "7 delete vs edit": {
        "the edit survives, and the inbox says so": (
            "engine/test_deletes.py::an_edit_survives_a_deletion_and_the_inbox_says_so",
            "e2e/test_records_deletes.py::an_edit_survives_the_archive_on_the_other_side",
            "e2e/test_records_deletes.py::an_edit_in_the_crm_survives_the_deletion_of_the_row",
        ),
        "what a delete takes along is kept first": (
            "core/test_plan.py::a_delete_keeps_what_was_never_on_the_other_side",
            "core/test_plan.py::a_delete_keeps_what_nobody_can_compare_any_more",
        ),
        "deleted on both sides is over": (
            "engine/test_deletes.py::deleted_on_both_sides_leaves_nothing_to_do",
            "e2e/test_records_deletes.py::deleted_on_both_sides_is_over",
        ),
        "a stale listing brings nothing back": (
            "engine/test_stale_listings.py::a_deleted_record_that_a_stale_listing_still_shows_does_not_come_back",
        ),
    },
    "8 different fields edited": {
        "both travel, only they are sent, the contested one waits alone": (
            "engine/test_conflicts.py::different_fields_edited_on_both_sides_travel_alone_and_the_contested_one_waits_alone",
            "e2e/test_records_fields.py::different_fields_edited_on_both_sides_cross",
            "e2e/test_records_fields.py::a_patch_names_only_what_changed",
        ),
    },
    "9 same field, clocks differ": {
        "the policy decides, the loser is in the attic": (
            "engine/test_conflicts.py::a_side_wins_and_the_other_value_goes_to_the_attic",
            "e2e/test_records_fields.py::the_policy_settles_a_conflict",
        ),
        "clocks that cannot tell ask": (
            "engine/test_conflicts.py::newer_asks_where_they_cannot",
            "engine/test_conflicts.py::newer_wins_where_the_clocks_can_tell",
            "core/test_merge.py::newer_decides_only_where_the_clocks_can_tell",
            "e2e/test_records_fields.py::newer_asks_where_one_side_has_no_clock",
        ),
        "the same edit is an agreement": (
            "engine/test_conflicts.py::the_same_edit_on_both_sides_is_an_agreement",
            "e2e/test_records_fields.py::the_same_edit_on_both_sides_is_an_agreement",
        ),
    },
    "10 silent divergence": {
        "a change that no feed told is found by the sweep": (
            "engine/test_cursors.py::a_change_that_no_feed_reported_is_found_by_the_next_full_sweep",
            "engine/test_cursors.py::deletes_that_no_feed_reports_are_found_by_the_next_full_sweep",
            "e2e/test_records_fields.py::an_edit_that_the_crm_dates_back_is_found_by_the_sweep",
        ),
        "a base that went wrong is found when the state is made anew": (
            "store/test_state_care.py::after_the_state_was_deleted_a_difference_is_asked_and_a_deleted_record_comes_back",
        ),
        "invariants of the state are checked": ("store/test_state_care.py::every_breach_of_an_invariant_is_named",),
    },
    "11 key trouble": {
        "spelling": (
            "engine/test_identity.py::a_key_is_compared_normalised_and_kept_as_it_was_typed",
            "engine/test_identity.py::objects_are_matched_by_name_whatever_their_case_space_and_form",
            "e2e/test_records_keys.py::an_email_in_other_letters_is_the_same_person",
            "e2e/test_records_keys.py::a_name_in_other_letters_is_the_same_company",
        ),
        "a changed key": (
            "engine/test_identity.py::a_link_outlives_a_changed_key",
            "e2e/test_records_keys.py::a_changed_email_follows_the_link",
        ),
        "several with one key": (
            "engine/test_identity.py::duplicates_make_nothing_and_go_to_the_inbox_once",
            "e2e/test_records_keys.py::two_companies_of_one_name_go_to_the_inbox",
            "e2e/test_records_keys.py::two_rows_of_one_email_create_nothing",
        ),
        "none": (
            "engine/test_identity.py::keyless_records_are_created_where_the_pair_says_so_and_never_matched_with_each_other",
            "e2e/test_records_keys.py::people_without_an_email_are_left_alone_and_never_matched",
        ),
        "moved on, and swapped": (
            "engine/test_identity.py::a_swap_of_two_keys_does_not_cross_the_links",
            "engine/test_identity.py::a_key_that_moves_on_from_one_record_to_another_frees_the_way_step_by_step",
            "e2e/test_records_keys.py::two_people_who_swap_their_emails_keep_their_links",
            "e2e/test_records_keys.py::an_email_that_moves_on_to_somebody_else",
        ),
    },
    "12 merge and re-create": {
        "two that were merged": (
            "engine/test_identity.py::a_merge_of_two_linked_records_leaves_the_other_partner_as_a_question",
            "e2e/test_records_deletes.py::two_contacts_merged_in_the_crm",
        ),
        "made anew with the same key": (
            "engine/test_deletes.py::a_record_deleted_and_made_anew_with_the_same_key_is_linked_once_and_stays",
            "e2e/test_records_deletes.py::a_row_deleted_and_inserted_again_is_the_same_person",
        ),
        "an id that is given out again": (
            "engine/test_ids_used_again.py::a_newcomer_under_a_deleted_records_id_does_not_inherit_its_partner",
            "e2e/test_ids_given_out_again.py::a_row_made_under_the_id_of_a_row_deleted_in_the_same_run",
        ),
    },
    "13 cursor edge": {
        "one instant on both sides of a page": (
            "e2e/test_records_listings.py::records_of_one_instant_on_both_sides_of_a_page_are_all_read",
            "connectors/sql/test_sql_incremental.py::rows_of_one_instant_are_all_delivered",
        ),
        "a transaction that commits late": (
            "connectors/sql/test_sql_incremental.py::a_transaction_that_commits_late_is_not_missed",
            "connectors/sql/test_sql_cursors.py::every_change_is_delivered_by_the_read_after_its_commit",
        ),
        "a run that fails half-way": ("engine/test_cursors.py::a_run_that_fails_keeps_its_cursor_so_that_nothing_is_missed",),
        "delivered again, applied once": ("engine/test_cursors.py::what_a_feed_delivers_again_is_not_applied_again",),
    },
    "14 null, empty, missing, filler": {
        "absent never clears": (
            "engine/test_values_travel.py::a_field_that_a_record_lacks_clears_nothing",
            "engine/test_trouble.py::a_listing_that_lacks_a_mapped_field_stops_the_run",
            "e2e/test_records_drift.py::a_field_removed_in_the_middle_of_a_run_clears_nothing",
        ),
        "cleared on purpose travels": (
            "engine/test_values_travel.py::a_value_that_somebody_clears_is_cleared_on_the_other_side_and_nowhere_else",
            "e2e/test_records_fields.py::a_value_that_is_cleared_on_purpose_travels_as_cleared",
        ),
        "empty is null only where a system says so": (
            "engine/test_values_travel.py::blank_text_is_null_only_where_a_system_says_so",
            "e2e/test_records_fields.py::an_empty_text_and_null_are_one_for_the_crm",
        ),
        "fillers never flow back": (
            "core/test_mapping_rules.py::a_filler_stands_for_nothing_and_never_flows_back",
            "engine/test_conflicts.py::a_constant_is_set_on_create_and_never_flows_back",
            "e2e/test_records_fields.py::a_constant_never_flows_back",
        ),
    },
    "15 value noise": {
        "written once, then silence": (
            "engine/test_values_travel.py::what_a_system_writes_its_own_way_is_written_once_and_never_comes_back",
            "engine/test_echo.py::what_a_system_makes_of_our_value_becomes_its_shadow_and_never_travels_back",
            "e2e/test_records_echo.py::the_same_number_phone_and_instant_in_other_clothes_is_no_change",
        ),
        "times and daylight saving": ("core/test_values_writing.py::any_local_time_settles_after_one_round",),
        "a system that never rests": ("engine/test_echo.py::a_normaliser_that_never_rests_does_not_make_us_chase_our_own_tail",),
        "loss is told from an image": (
            "core/test_values_sameness.py::what_a_system_may_have_stored_is_an_image_and_real_loss_is_told_apart",
        ),
        "loss is reported, once for each write": (
            "engine/test_shortfalls.py::the_run_that_wrote_says_once_what_the_answer_showed_to_be_lost",
            "engine/test_shortfalls.py::where_the_answer_holds_no_values_the_next_run_says_it_once",
            "cli/test_cli_journey.py::a_value_that_a_system_cuts_is_told_by_the_run_that_wrote_it_and_by_the_log_and_never_again",
        ),
    },
    "16 poison row, partial batch": {
        "the others land": (
            "engine/test_trouble.py::one_poison_row_in_a_batch_is_parked_with_its_reason_and_the_others_land",
            "e2e/test_records_drift.py::one_refused_record_does_not_hold_up_the_others",
            "connectors/sql/test_sql_writing.py::one_bad_row_leaves_its_neighbours",
        ),
        "a part without answer is in doubt": (
            "engine/test_trouble.py::a_part_of_a_batch_without_answer_is_in_doubt_and_the_rest_lands",
        ),
        "left in peace until it changes": ("engine/test_trouble.py::a_parked_record_is_left_in_peace_until_it_changes",),
    },
    "17 limits and outages": {
        "429 in every form": (
            "e2e/test_records_limits.py::a_429_waits_as_long_as_it_is_told",
            "e2e/test_http_faults.py::an_absurd_retry_after_neither_hurries_nor_hangs_us",
        ),
        "the budget of calls": ("e2e/test_records_limits.py::the_calls_of_a_run_are_bounded_and_the_next_run_goes_on",),
        "a key that stops working": (
            "e2e/test_records_limits.py::a_key_that_stops_working_in_the_middle_stops_the_run",
            "e2e/test_http_faults.py::credentials_that_are_revoked_between_two_writes_stop_the_run_with_a_true_summary",
        ),
        "an outage": (
            "e2e/test_records_limits.py::an_outage_of_ten_minutes_is_survived",
            "e2e/test_faults_of_a_process.py::a_sync_that_cannot_read_ends_in_time_with_1_and_says_why",
        ),
        "a long wait and a stop": (
            "e2e/test_faults_of_a_process.py::a_sync_that_waits_for_a_busy_system_ends_soon_after_it_is_asked_to",
        ),
        "a wait that outlasts the lease": (
            "engine/test_waiting.py::a_write_that_would_begin_when_the_lease_is_over_is_not_made",
        ),
    },
    "18 schema drift": {
        "removed or renamed": (
            "e2e/test_records_drift.py::a_field_removed_between_two_runs_blocks_only_itself",
            "e2e/test_records_drift.py::a_renamed_field_blocks_only_itself",
            "core/test_mapping_drift.py::a_field_that_vanished_is_left_out_and_named",
        ),
        "read-only": (
            "engine/test_trouble.py::a_field_that_becomes_read_only_goes_one_way_from_then_on",
            "e2e/test_records_drift.py::a_field_made_read_only_blocks_only_its_own_way_there",
        ),
        "an option is gone": (
            "engine/test_trouble.py::a_choice_that_is_withdrawn_blocks_its_field_only",
            "e2e/test_records_drift.py::an_option_removed_blocks_only_its_records",
        ),
        "another type": ("engine/test_trouble.py::a_type_that_changes_keeps_the_state_and_rewrites_nothing",),
    },
    "19 associations": {
        "the contact before its company": (
            "engine/test_references.py::an_unresolved_reference_waits_and_blanks_nothing",
            "e2e/test_records_relations.py::a_contact_whose_company_is_not_linked_yet_waits_and_is_not_blanked",
        ),
        "cycles": ("engine/test_references.py::references_within_a_pair_and_cycles_are_filled_by_a_second_pass",),
        "removed": (
            "engine/test_references.py::clearing_a_reference_travels_as_clearing",
            "e2e/test_records_relations.py::a_removed_relation_travels_as_removed",
        ),
        "out of scope": ("engine/test_references.py::a_reference_to_what_is_out_of_scope_stays_pending_and_harms_nothing",),
    },
    "20 overlap, stale and lost state": {
        "two at once": (
            "engine/test_state_and_overlap.py::two_runs_over_the_same_resources_take_turns",
            "engine/test_state_and_overlap.py::a_run_whose_lease_was_taken_over_stops_and_commits_nothing_more",
            "e2e/test_two_at_once.py::the_second_sync_leaves_with_1_and_names_the_first",
        ),
        "changed between read and write": (
            "engine/test_conflicts.py::an_edit_that_arrives_between_the_reading_and_the_write_is_not_overwritten",
            "engine/test_evidence.py::a_stale_version_is_read_again_and_decided_anew",
            "e2e/test_records_fields.py::an_edit_between_our_listing_and_our_write_is_seen",
        ),
        "an approval is spent once": ("engine/test_guards.py::an_approval_is_spent_once",),
        "a lost state": (
            "engine/test_guards.py::a_lost_state_is_linked_again_by_key_without_deletes_and_equal_records_are_no_writes",
            "store/test_state_care.py::after_the_state_was_deleted_nothing_is_deleted_and_equal_records_cause_no_write",
        ),
        "a state put back, or copied": (
            "store/test_state_identity.py::a_copy_put_back_is_recognised_however_it_was_taken",
            "store/test_state_identity.py::a_copy_beside_the_original_is_refused",
            "docs/test_recover.py::every_command_of_the_page_does_what_it_shows",
        ),
        "search that lags": (
            "engine/test_cursors.py::changes_that_lag_behind_are_picked_up_later_and_nothing_is_doubled",
            "e2e/test_records_listings.py::a_search_that_lags_doubles_and_loses_nothing",
        ),
        "there and back within an hour": (
            "engine/test_echo.py::a_value_that_goes_and_comes_back_within_a_day_is_sent_each_time",
            "e2e/test_records_echo.py::an_edit_that_returns_to_an_earlier_value_is_sent_again",
        ),
        "the disk is full, read-only, or locked": (
            "e2e/test_disk.py::a_disk_that_fills_up_in_the_middle_of_a_sync",
            "e2e/test_disk.py::a_disk_that_became_read_only",
            "e2e/test_disk.py::a_limit_on_the_size_of_files",
            "e2e/test_disk.py::a_state_locked_by_another_program",
            "e2e/test_disk.py::a_state_of_a_newer_version_is_left_alone",
        ),
    },
}

NOT_HELD = {
    "10 silent divergence": "both sides differ, neither changed since, and the state is believed: `verify` will look, a later command",
    "20 overlap, stale and lost state": "plans that are saved and applied later do not exist yet; approvals are what is spent once",
}
"""What the specification asks for besides, and why it is not here."""


@cache
def names_in(file: str) -> frozenset[str]:
    path = ROOT / "tests" / file
    if not path.is_file():
        return frozenset()
    return frozenset(re.findall(r"^ *(?:async )?def test_(\w+)\(", path.read_text("utf-8"), flags=re.MULTILINE))


def test_there_are_twenty_failure_modes_and_each_is_held() -> None:
    assert [int(mode.split()[0]) for mode in SCENARIOS] == list(range(1, 21))
    assert all(named for claims in SCENARIOS.values() for named in claims.values())
    assert set(NOT_HELD) <= set(SCENARIOS)


@pytest.mark.parametrize("mode", SCENARIOS)
def test_every_test_that_holds_a_failure_mode_exists(mode: str) -> None:
    named = [*SIMULATED, *(name for names in SCENARIOS[mode].values() for name in names)]
    assert [name for name in named if name.partition("::")[2] not in names_in(name.partition("::")[0])] == []
