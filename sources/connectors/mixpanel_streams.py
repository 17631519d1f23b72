"""What Mixpanel offers: each stream's columns and permission."""

from __future__ import annotations

from sources.connectors.base import Column, StreamSpec, SyncMode
from sources.connectors.shape import EXTRA

C = Column

EVENTS = StreamSpec(
    name="events",
    label="Events",
    description="One row per event. Whatever Mixpanel delivered twice is kept once.",
    # The four by which Mixpanel itself tells a second copy; its raw export leaves the copies in.
    primary_key=("event", "distinct_id", "reported_time", "insert_id"),
    cursor_fields=("time",),
    columns=(
        *(C("event"), C("distinct_id"), C("insert_id", "text", "$insert_id")),
        C("time", "timestamp"),
        C("local_date", "date"),
        C("reported_time", "bigint", "time"),
        C("received_at", "timestamp"),
        *(C("user_id", "text", "$user_id"), C("device_id", "text", "$device_id")),
        *(C("browser", "text", "$browser"), C("os", "text", "$os"), C("device", "text", "$device")),
        *(C("city", "text", "$city"), C("region", "text", "$region"), C("country_code", "text", "mp_country_code")),
        *(C("current_url", "text", "$current_url"), C("referrer", "text", "$referrer")),
        *(C("library", "text", "mp_lib"), C("app_version", "text", "$app_version_string")),
        EXTRA,
    ),
    permission="Consumer (or higher) on the project",
)

PROFILES = StreamSpec(
    name="profiles",
    label="User profiles",
    description="One row per user. Times are as Mixpanel writes them, without a time zone.",
    primary_key=("distinct_id",),
    sync_modes=(SyncMode.FULL_REFRESH,),
    columns=(
        C("distinct_id", "text", "$distinct_id"),
        *(C("email", "text", "$properties.$email"), C("name", "text", "$properties.$name")),
        *(C("first_name", "text", "$properties.$first_name"), C("last_name", "text", "$properties.$last_name")),
        *(C("created", "text", "$properties.$created"), C("last_seen", "text", "$properties.$last_seen")),
        *(C("city", "text", "$properties.$city"), C("region", "text", "$properties.$region")),
        C("country_code", "text", "$properties.$country_code"),
        EXTRA,
    ),
    permission="Consumer (or higher) on the project",
)

COHORTS = StreamSpec(
    name="cohorts",
    label="Cohorts",
    description="One row per saved cohort, with how many users it has now.",
    primary_key=("id",),
    sync_modes=(SyncMode.FULL_REFRESH,),
    columns=(
        *(C("id", "bigint"), C("name"), C("description"), C("count", "bigint")),
        *(C("is_visible", "bigint"), C("created"), C("project_id", "bigint")),
        EXTRA,
    ),
    permission="Consumer (or higher) on the project",
)

STREAMS: tuple[StreamSpec, ...] = (EVENTS, PROFILES, COHORTS)
