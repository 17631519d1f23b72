"""The use of the sandbox company's product, its conversations and its pull requests as raw rows, without HTTP: what its
doors show, through the connectors' own shapes."""

from __future__ import annotations

from typing import Any

from sandbox.company import Company
from sandbox.doors.mixpanel import MixpanelDoor
from sandbox.doors.slack import SlackDoor, _message
from sandbox.features import FEATURES
from sandbox.product import _user_row, _workspace_row
from sandbox.timeline import utc
from sandbox.uses import EventRows
from sources.connectors.github_streams import SPECS as GITHUB_SPECS
from sources.connectors.mixpanel_export import _identity
from sources.connectors.mixpanel_streams import EVENTS
from sources.connectors.shape import Shape
from sources.connectors.slack_streams import SPECS
from tests.dbt.raw_schema import RAW_SCHEMA

Rows = dict[str, list[dict[str, Any]]]


def database_rows(company: Company) -> Rows:
    """The product's own database, as a copy of it is now."""
    product = company.product
    tables = {
        "raw_postgres.workspaces": [_workspace_row(each) for each in product.workspaces.values()],
        "raw_postgres.users": [_user_row(each) for each in product.users.values()],
        "raw_postgres.events": EventRows(product.uses, product.users, 0, len(product.uses)),
    }
    return {name: [dict(zip(RAW_SCHEMA[name], row, strict=True)) for row in rows] for name, rows in tables.items()}


def mixpanel_rows(company: Company) -> Rows:
    """What Mixpanel has received so far; of copies the one that came last, as the connector keeps them."""
    door, uses, shape = MixpanelDoor(company, "secret"), company.product.uses, Shape(EVENTS)
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index in range(len(uses)):
        for received in uses.deliveries(index):
            if received <= company.now:
                properties = door._properties(index, received, 1)
                event = {"event": FEATURES[uses.features[index]].event, "properties": properties}
                moment = utc(uses.moments[index])
                kept[_identity(event)] = shape.row(
                    {**event, **properties},
                    insert_id=properties["$insert_id"],
                    time=moment,
                    local_date=moment.astimezone(door.zone).date(),
                    received_at=received,
                )
    return {"raw_mixpanel.events": list(kept.values())}


def slack_rows(company: Company) -> Rows:
    """Every channel with its messages and threads, as Slack shows them."""
    team, door = company.team, SlackDoor(company, "token")
    rows: Rows = {f"raw_slack.{name}": [] for name in ("channels", "users", "messages", "replies", "reactions")}
    shapes = {name: Shape(SPECS[name]) for name in ("channels", "users", "messages", "replies")}
    rows["raw_slack.channels"] = [shapes["channels"].row(door._channel(each)) for each in team.channels.values()]
    rows["raw_slack.users"] = [shapes["users"].row(door._user(each)) for each in team.members]
    for channel in team.channels.values():
        for message in channel.messages:
            shown = [("messages", _message(message), utc(int(message.ts.split(".")[0])).date())]
            shown += [("replies", _message(reply, parent=message), None) for reply in message.replies]
            for stream, body, day in shown:
                known = {"channel_id": channel.id, "sent_at": float(body["ts"])}
                known["reaction_count"] = sum(each["count"] for each in body.get("reactions", ()))
                row = shapes[stream].row(body, **known)
                rows[f"raw_slack.{stream}"].append({**row, "day": day} if day else row)
    return rows


def github_rows(company: Company) -> Rows:
    """Pull requests with their commits and reviews."""
    names = ("pulls", "reviews", "pull_commits")
    writer, shapes = company.github_writer, {name: Shape(GITHUB_SPECS[name]) for name in names}
    rows: Rows = {f"raw_github.{name}": [] for name in names}
    for repository in company.engineering.repositories.values():
        for pull in repository.pulls.values():
            of = {"repository": repository.full_name}
            rows["raw_github.pulls"].append(shapes["pulls"].row(writer.pull(pull), **of))
            for review in pull.reviews:
                row = shapes["reviews"].row(writer.review(review, pull), **of, pull_number=pull.number)
                rows["raw_github.reviews"].append(row)
            for commit in pull.commits:
                row = shapes["pull_commits"].row(writer.commit(commit, repository), **of, pull_number=pull.number)
                rows["raw_github.pull_commits"].append(row)
    return rows
