"""GitHub over its REST API: an organization's repositories, or some by name, and what happens in them.

The cursor is kept per repository ({"owner/name": …}), so a repository that joins later is read from its beginning.
Pull requests and issues: first in the order they were created, which never shifts and can be taken up again half-way;
then by `updated_at`, newest first, until what is known. Commits: from the known head to the new one (`compare`), because
a merge brings commits that are older than the last sync.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors.base import GONE, FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec
from sources.connectors.github_streams import OMIT, SPECS, STREAMS
from sources.connectors.http import ApiClient
from sources.connectors.shape import Shape

PAGE = 100  # GitHub's largest
OVERLAP = timedelta(minutes=2)  # lists may lag a little behind what just happened
SEEN_AT_MOST = 500
CHECK_TRIES = 2
DEFAULT_URL = "https://api.github.com"


class GitHubConnector:
    name = "github"
    label = "GitHub"
    summary = "Repositories, pull requests, reviews, commits and issues."
    fields = (
        FormField(
            "token",
            "Access token",
            "A fine-grained token begins with github_pat_ and needs no more than read access. It is stored encrypted "
            "and never shown again.",
            FieldKind.SECRET,
            placeholder="github_pat_…",
        ),
        FormField(
            "organization",
            "Organization",
            "The name in the address: for github.com/acme it is “acme”. All its repositories are read. "
            "Leave it empty to read only the repositories named below.",
            required=False,
            placeholder="acme",
        ),
        FormField(
            "repositories",
            "Repositories",
            "One a line, as in the address: acme/website. Empty: every repository of the organization.",
            FieldKind.LIST,
            required=False,
            placeholder="acme/website",
        ),
        FormField(
            "base_url",
            "API base URL",
            "Leave this as it is for github.com. GitHub Enterprise: https://github.your-company.com/api/v3",
            FieldKind.URL,
            required=False,
            default=DEFAULT_URL,
            is_advanced=True,
        ),
    )
    permissions = (
        "Metadata: Read-only",
        "Contents: Read-only",
        "Pull requests: Read-only",
        "Issues: Read-only",
    )
    setup_help = (
        "In GitHub, open Settings › Developer settings › Personal access tokens › Fine-grained tokens and press "
        "“Generate new token”. Choose the organization as resource owner, all repositories (or some), and give "
        "Read-only on Contents, Issues, Metadata and Pull requests. Copy the token and paste it here."
    )
    # No pacing by the clock: GitHub says with each answer how much of the hour is left.
    rate_limits = (RateLimit(5_000, 3_600, "requests of one token"),)
    streams: tuple[StreamSpec, ...] = STREAMS
    reads_back = "everything changed or committed"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("token", "")]), self._client(settings, tries=CHECK_TRIES) as client:
            repositories = _repositories(client, settings)
            if repositories:
                name = repositories[0]["full_name"]
                for stream, path in (("commits", "commits"), ("pulls", "pulls"), ("issues", "issues")):
                    client.get(
                        f"repos/{name}/{path}", {"per_page": 1}, forbidden=_forbidden(SPECS[stream]), empty_ok=True
                    )
        if not repositories:
            raise TerminalError(
                "The token works, but it can see no repository. Give it access to the repositories you want to read.",
                kind="forbidden",
            )
        count = f"{len(repositories)} repositories" if len(repositories) > 1 else f"the repository {name}"
        return f"Connected to GitHub. The token can read {count}."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        if stream.name == "repositories":
            return None
        back = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {name: _back_to(known, back) for name, known in since.items()}

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        if stream.name not in SPECS:
            raise TerminalError(f"GitHub has no stream called “{stream.name}”.", kind="stream")
        with secrets_hidden([settings.get("token", "")]), self._client(settings) as client:
            reader = _Reader(client, stream)
            repositories = _repositories(client, settings)
            cursors: dict[str, Any] = dict(since or {})
            if stream.name == "repositories":
                yield from reader.repositories(repositories, cursors)
                return
            for repository in repositories:
                name = repository["full_name"]
                for rows, of, cursor in reader.repository(repository, cursors.get(name)):
                    if cursor is not None:
                        cursors[name] = cursor
                    yield Page(rows, stream=of, cursor=None if cursor is None else dict(cursors))
            # A source without repositories has been read all the same.
            yield Page([], cursor=dict(cursors))

    def _client(self, settings: Mapping[str, Any], **options: Any) -> ApiClient:
        token = str(settings.get("token") or "").strip()
        if not token:
            raise TerminalError("The GitHub source has no token yet. Paste one in its settings.", kind="settings")
        return ApiClient(
            "GitHub",
            str(settings.get("base_url") or DEFAULT_URL),
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            unauthorized="GitHub did not accept the token: it is mistyped, expired or was revoked. "
            "Create a new one under Settings › Developer settings and paste it here.",
            **options,
        )


def _repositories(client: ApiClient, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The repositories to read, each once, in a steady order."""
    organization = str(settings.get("organization") or "").strip().strip("/")
    names = [str(name).strip().strip("/") for name in settings.get("repositories") or () if str(name).strip()]
    forbidden = _forbidden(SPECS["repositories"])
    if not organization and not names:
        raise TerminalError(
            "Name an organization, or at least one repository, in the settings of this source.", kind="settings"
        )
    if names:
        found = []
        for name in names:
            full = name if "/" in name else f"{organization}/{name}"
            answer = client.get(f"repos/{full}", forbidden=forbidden, missing_ok=True)
            if answer is None:
                raise TerminalError(
                    f"GitHub shows no repository “{full}” to this token. Either the name is misspelt, or the token "
                    "has no access to it.",
                    kind="not_found",
                )
            found.append(answer.body)
    else:
        found = _of_organization(client, organization, forbidden)
    by_id = {repository["id"]: repository for repository in found}
    return [by_id[key] for key in sorted(by_id)]


def _of_organization(client: ApiClient, organization: str, forbidden: str) -> list[dict[str, Any]]:
    for path in (f"orgs/{organization}/repos", f"users/{organization}/repos"):
        params = {"per_page": PAGE, "sort": "created", "direction": "asc"}
        first = client.get(path, params, forbidden=forbidden, missing_ok=True)
        if first is None:
            continue
        found = list(first.body)
        while first.next_url:
            first = client.get(first.next_url, forbidden=forbidden)
            assert first is not None
            found += first.body
        return found
    raise TerminalError(
        f"GitHub shows no organization “{organization}” to this token. Either the name is misspelt, or the token has "
        "no access to it.",
        kind="not_found",
    )


# Rows of a stream, and the repository's cursor once they count.
Piece = tuple[list[dict[str, Any]], str, Any]


class _Reader:
    def __init__(self, client: ApiClient, request: StreamRequest) -> None:
        self.client = client
        self.request = request
        spec = SPECS[request.name]
        self.listed = SPECS[spec.comes_with] if spec.comes_with else spec
        self.wanted = (request.name, *request.along)
        self.shapes = {name: Shape(SPECS[name], omit=OMIT[name]) for name in {*self.wanted, self.listed.name}}
        self.forbidden = _forbidden(self.listed)

    def repositories(self, found: list[dict[str, Any]], known: Mapping[str, Any]) -> Iterator[Page]:
        stamps = {item["full_name"]: f"{item.get('updated_at')} {item.get('pushed_at')}" for item in found}
        changed = [item for item in found if known.get(item["full_name"]) != stamps[item["full_name"]]]
        yield Page([self.shapes["repositories"].row(item) for item in changed], cursor=stamps)

    def repository(self, repository: dict[str, Any], known: Any) -> Iterator[Piece]:
        name = repository["full_name"]
        if self.listed.name == "commits":
            yield from self._commits(name, repository.get("default_branch") or "HEAD", known or {})
        elif known is None or "after" in known:
            yield from self._from_the_beginning(name, known)
        else:
            yield from self._changes(name, known)

    # Pull requests and issues -------------------------------------------------------------------------------------

    def _from_the_beginning(self, name: str, known: Any) -> Iterator[Piece]:
        if known is None:
            answer = self.client.get(
                f"repos/{name}/{self.listed.name}",
                {"state": "all", "sort": "updated", "direction": "desc", "per_page": 1},
                forbidden=self.forbidden,
                missing_ok=True,
            )
            newest = answer.body[0]["updated_at"] if answer and answer.body else ""
            known = {"updated": newest, "seen": {}, "after": ""}
        # Not by number: an issue that was moved here has a new number and an old date.
        go_on_from = known["after"]
        edge = _edge(known["updated"])
        for items in self._pages(name, {"sort": "created", "direction": "asc"}):
            new = [item for item in items if item["created_at"] >= go_on_from]
            if not new:
                continue
            yield from self._rows(name, new, is_first=True)
            seen = {str(item["id"]): item["updated_at"] for item in new if item["updated_at"] >= edge}
            known = {**known, "seen": {**known["seen"], **seen}, "after": new[-1]["created_at"]}
            yield [], "", known
        yield [], "", {"updated": known["updated"], "seen": _newest(known["seen"])}

    def _changes(self, name: str, known: dict[str, Any]) -> Iterator[Piece]:
        known_to = known["updated"]
        back_to = _edge(known_to)
        params = {"sort": "updated", "direction": "desc"}
        if self.listed.name == "issues" and back_to:
            params["since"] = back_to
        seen: dict[str, str] = {}
        newest = known_to
        for items in self._pages(name, params):
            recent = [item for item in items if item["updated_at"] >= back_to]
            new = [item for item in recent if known["seen"].get(str(item["id"])) != item["updated_at"]]
            yield from self._rows(name, [item for item in new if str(item["id"]) not in seen])
            seen.update((str(item["id"]), item["updated_at"]) for item in recent)
            newest = max([newest, *(item["updated_at"] for item in recent)])
            if len(recent) < len(items):
                break
        edge = _edge(newest)
        yield [], "", {"updated": newest, "seen": _newest({key: at for key, at in seen.items() if at >= edge})}

    def _pages(self, name: str, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        # Issues or pull requests may be switched off in a repository: GitHub then says 404 or 410.
        for answer in self.client.pages(
            f"repos/{name}/{self.listed.name}",
            {"state": "all", "per_page": PAGE, **params},
            forbidden=self.forbidden,
            missing_ok=True,
        ):
            yield answer.body

    def _rows(self, name: str, items: list[dict[str, Any]], *, is_first: bool = False) -> Iterator[Piece]:
        if not items:
            return
        listed = self.listed.name
        if listed in self.wanted:
            rows = [
                self.shapes[listed].row(item, repository=name, is_pull_request="pull_request" in item) for item in items
            ]
            yield rows, listed, None
        for part, path in (("reviews", "reviews"), ("pull_commits", "commits")):
            if part not in self.wanted:
                continue
            rows = []
            for item in items:
                inside = list(self._inside(f"repos/{name}/pulls/{item['number']}/{path}", part))
                owner = {"repository": name, "pull_number": item["number"]}
                rows += [self.shapes[part].row(each, **owner) for each in inside]
                if not inside and not is_first:
                    key = {"id": -item["id"]} if part == "reviews" else {"sha": ""}
                    rows.append({**owner, **key, GONE: True})
            yield rows, part, None

    def _inside(self, path: str, part: str) -> Iterator[dict[str, Any]]:
        for answer in self.client.pages(path, {"per_page": PAGE}, forbidden=_forbidden(SPECS[part]), missing_ok=True):
            yield from answer.body

    # Commits ------------------------------------------------------------------------------------------------------

    def _commits(self, name: str, branch: str, known: dict[str, Any]) -> Iterator[Piece]:
        if "next_page" in known:
            yield from self._history(name, known["head"], known["next_page"])
            return
        answer = self.client.get(
            f"repos/{name}/commits",
            {"sha": branch, "per_page": 1},
            forbidden=self.forbidden,
            missing_ok=True,
            empty_ok=True,
        )
        head = answer.body[0]["sha"] if answer and answer.body else ""
        again_from = known.get("again_from", "")
        if not head or (head == known.get("head") and not again_from):
            if not known:
                yield [], "", {"head": head}
            return
        between = list(self._between(name, known["head"], head)) if known.get("head") not in (None, "", head) else []
        if between:
            # A branch that was merged brings commits that are older than any day to read again from.
            yield self._commit_rows(name, between), "commits", None if again_from else {"head": head}
            if not again_from:
                return
        since_then = between or head == known.get("head")
        yield from self._history(name, head, 1, since=again_from if since_then else "")

    def _between(self, name: str, old: str, new: str) -> Iterator[dict[str, Any]]:
        """Commits that are reachable from `new` and not from `old`; nothing when GitHub no longer knows `old`."""
        for answer in self.client.pages(
            f"repos/{name}/compare/{old}...{new}", {"per_page": PAGE}, forbidden=self.forbidden, missing_ok=True
        ):
            yield from answer.body["commits"]

    def _history(self, name: str, head: str, page: int, *, since: str = "") -> Iterator[Piece]:
        """Everything reachable from `head`, page by page: pinned to that commit, the pages never shift."""
        newer = {"since": since} if since else {}
        while True:
            answer = self.client.get(
                f"repos/{name}/commits",
                {"sha": head, "per_page": PAGE, "page": page, **newer},
                forbidden=self.forbidden,
            )
            assert answer is not None
            is_last = not answer.next_url or not answer.body
            page += 1
            yield (
                self._commit_rows(name, answer.body),
                "commits",
                {"head": head} if is_last else {"head": head, "next_page": page},
            )
            if is_last:
                return

    def _commit_rows(self, name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self.shapes["commits"].row(item, repository=name) for item in items]


def _back_to(known: dict[str, Any], back: str) -> dict[str, Any]:
    """The cursor of one repository, reaching back; a first read that is under way brings everything anyway."""
    if "after" in known or "next_page" in known:
        return known
    if "head" in known:
        return {**known, "again_from": back} if known["head"] else known
    return {"updated": min(back, known["updated"]), "seen": {}} if known["updated"] else known


def _edge(newest: str) -> str:
    """From when on the next read looks again, as GitHub writes times; "" when nothing is known yet."""
    return (datetime.fromisoformat(newest) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ") if newest else ""


def _newest(seen: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(seen.items(), key=lambda item: item[1])[-SEEN_AT_MOST:])


def _forbidden(spec: StreamSpec) -> str:
    permission, _, level = spec.permission.partition(": ")
    return (
        f"The token is not allowed to read {spec.label.lower()}. In GitHub, open Settings › Developer settings, edit "
        f"the token and give it {level} on “{permission}”; if your organization uses single sign-on, authorize the "
        "token for it."
    )
