"""What GitHub offers: each stream's columns and permission."""

from __future__ import annotations

from sources.connectors.base import Column, StreamSpec
from sources.connectors.shape import EXTRA

C = Column

# The same repository again inside every pull request, and addresses that only repeat it.
OMIT = {
    "pulls": ("base.repo", "head.repo", "_links"),
    "reviews": ("_links",),
    "commits": ("commit.tree",),
    "pull_commits": ("commit.tree",),
    "issues": ("pull_request",),
    "repositories": ("owner", "permissions"),
}


def _times(*names: str) -> tuple[C, ...]:
    return tuple(C(name, "timestamp") for name in names)


ID = C("id", "bigint")
NUMBER = C("number", "bigint")
REPOSITORY = C("repository")
USER = C("user_login", "text", "user.login")

STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec(
        name="repositories",
        label="Repositories",
        description="One row per repository.",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            ID,
            *(C("name"), C("full_name"), C("private", "bool"), C("archived", "bool")),
            *(C("default_branch"), C("language")),
            *_times("created_at", "updated_at", "pushed_at"),
            EXTRA,
        ),
        permission="Metadata: Read-only",
    ),
    StreamSpec(
        name="pulls",
        label="Pull requests",
        description="One row per pull request, closed ones too.",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            *(ID, NUMBER, REPOSITORY, C("title"), C("state"), C("draft", "bool"), USER),
            *_times("created_at", "updated_at", "closed_at", "merged_at"),
            C("merge_commit_sha"),
            C("base_ref", "text", "base.ref"),
            C("head_ref", "text", "head.ref"),
            EXTRA,
        ),
        permission="Pull requests: Read-only",
    ),
    StreamSpec(
        name="reviews",
        label="Reviews",
        description="One row per review of a pull request.",
        primary_key=("id",),
        cursor_fields=("submitted_at",),
        columns=(
            *(ID, C("pull_number", "bigint"), REPOSITORY, USER, C("state")),
            *(C("submitted_at", "timestamp"), C("commit_id")),
            EXTRA,
        ),
        permission="Pull requests: Read-only",
        comes_with="pulls",
        owner_key=("repository", "pull_number"),
    ),
    StreamSpec(
        name="commits",
        label="Commits",
        description="One row per commit on the default branch.",
        primary_key=("repository", "sha"),
        cursor_fields=("committed_at",),
        columns=(
            *(C("sha"), REPOSITORY, C("message", "text", "commit.message"), C("author_login", "text", "author.login")),
            C("author_name", "text", "commit.author.name"),
            C("author_email", "text", "commit.author.email"),
            C("authored_at", "timestamp", "commit.author.date"),
            C("committed_at", "timestamp", "commit.committer.date"),
            EXTRA,
        ),
        permission="Contents: Read-only",
    ),
    StreamSpec(
        name="pull_commits",
        label="Commits of pull requests",
        description="One row per commit of a pull request, as it was pushed (before a squash).",
        primary_key=("repository", "pull_number", "sha"),
        cursor_fields=("committed_at",),
        columns=(
            *(C("sha"), C("pull_number", "bigint"), REPOSITORY),
            *(C("message", "text", "commit.message"), C("author_login", "text", "author.login")),
            C("authored_at", "timestamp", "commit.author.date"),
            C("committed_at", "timestamp", "commit.committer.date"),
            EXTRA,
        ),
        permission="Pull requests: Read-only",
        comes_with="pulls",
        owner_key=("repository", "pull_number"),
    ),
    StreamSpec(
        name="issues",
        label="Issues",
        description="One row per issue; GitHub counts pull requests as issues too (is_pull_request).",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            *(ID, NUMBER, REPOSITORY, C("title"), C("state"), USER),
            *_times("created_at", "updated_at", "closed_at"),
            *(C("comments", "bigint"), C("is_pull_request", "bool")),
            EXTRA,
        ),
        permission="Issues: Read-only",
    ),
)
SPECS = {spec.name: spec for spec in STREAMS}
