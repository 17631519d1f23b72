"""The GitHub REST API: what a connector reads, with Link headers, rate limits and entity tags."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.engineering import ORGANIZATION, Pull, Repository
from sandbox.faults import Fault

DOCUMENTATION = "https://docs.github.com/rest"
HOURLY_LIMIT = 15_000
_HOUR = 3600
_MAX_PER_PAGE, _PER_PAGE = 100, 30


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class GithubDoor(Door):
    """``token`` opens everything; ``limit`` is how many requests it has an hour, and is enforced."""

    service = "github"
    _map = Map(
        [
            Rule("/user", endpoint="user"),
            Rule("/rate_limit", endpoint="rate_limit"),
            Rule("/orgs/<org>", endpoint="org"),
            Rule("/orgs/<org>/repos", endpoint="org_repos"),
            Rule("/user/repos", endpoint="user_repos"),
            Rule("/repos/<owner>/<repo>", endpoint="repo"),
            Rule("/repos/<owner>/<repo>/pulls", endpoint="pulls"),
            Rule("/repos/<owner>/<repo>/pulls/<int:number>", endpoint="pull"),
            Rule("/repos/<owner>/<repo>/pulls/<int:number>/reviews", endpoint="reviews"),
            Rule("/repos/<owner>/<repo>/pulls/<int:number>/commits", endpoint="pull_commits"),
            Rule("/repos/<owner>/<repo>/commits", endpoint="commits"),
            Rule("/repos/<owner>/<repo>/compare/<base>...<head>", endpoint="compare"),
            Rule("/repos/<owner>/<repo>/issues", endpoint="issues"),
        ]
    )

    def __init__(self, company: Company, token: str) -> None:
        super().__init__()
        self._company = company
        self._engineering = company.engineering
        self._write = company.github_writer
        self.token = token
        self.limit = HOURLY_LIMIT
        self._expired: set[str] = set()
        self._lock = threading.Lock()
        self._used, self._resets_at = 0, 0.0

    def listen(self, port: int = 0) -> int:
        number = super().listen(port)
        self._write.base_url = self.base_url
        return number

    def endpoint(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "token": self.token, "organization": ORGANIZATION}

    def expire(self, token: str) -> None:
        """From now on this token is answered with 401."""
        self._expired.add(token)

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        if not self._is_known(request):
            return self._error(401, "Bad credentials", counted=False)
        try:
            endpoint, values = self._map.bind("").match(request.path, request.method)
        except HTTPException:
            return self._error(404, "Not Found")
        if endpoint != "rate_limit" and not self._spend():
            return self._error(403, self._exhausted())
        try:
            with self._company.lock:
                body, headers = getattr(self, f"_{endpoint}")(request, **values)
        except _Refused as error:
            return self._error(error.status, error.message)
        tag = f'W/"{hashlib.blake2b(json.dumps(body).encode(), digest_size=16).hexdigest()}"'
        headers = {**self._limits(), **headers, "ETag": tag}
        if request.headers.get("If-None-Match") == tag:
            # GitHub does not count an answer that says "nothing new"
            with self._lock:
                self._used = max(0, self._used - 1)
            return Response(status=304, headers={**headers, **self._limits()})
        return reply(body, headers=headers)

    def _is_known(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        value = value.strip()
        return scheme.lower() in {"bearer", "token"} and value == self.token and value not in self._expired

    def _user(self, request: Request) -> tuple[Any, dict[str, str]]:
        return self._write.me(self._engineering.people[0], self._company.start), {}

    def _rate_limit(self, request: Request) -> tuple[Any, dict[str, str]]:
        core = self._core()
        other = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
        resources = {"core": core, "search": other, "graphql": {**other, "limit": 5000, "remaining": 5000}}
        return {"resources": resources, "rate": core}, {}

    def _org(self, request: Request, org: str) -> tuple[Any, dict[str, str]]:
        self._require_organization(org)
        return self._write.organization(self._company.start), {}

    def _org_repos(self, request: Request, org: str) -> tuple[Any, dict[str, str]]:
        self._require_organization(org)
        return self._page(request, list(self._engineering.repositories.values()), self._write.repository)

    def _user_repos(self, request: Request) -> tuple[Any, dict[str, str]]:
        return self._page(request, list(self._engineering.repositories.values()), self._write.repository)

    def _repo(self, request: Request, owner: str, repo: str) -> tuple[Any, dict[str, str]]:
        return self._write.full_repository(self._repository(owner, repo)), {}

    def _pulls(self, request: Request, owner: str, repo: str) -> tuple[Any, dict[str, str]]:
        records = self._stated(request, list(self._repository(owner, repo).pulls.values()))
        base, head = request.args.get("base"), request.args.get("head")
        records = [
            pull
            for pull in records
            if base in (None, "main") and (head is None or head == f"{ORGANIZATION}:{pull.branch}")
        ]
        return self._page(request, self._sorted(request, records), self._write.pull)

    def _pull(self, request: Request, owner: str, repo: str, number: int) -> tuple[Any, dict[str, str]]:
        return self._write.full_pull(self._one_pull(owner, repo, number)), {}

    def _reviews(self, request: Request, owner: str, repo: str, number: int) -> tuple[Any, dict[str, str]]:
        pull = self._one_pull(owner, repo, number)
        return self._page(request, pull.reviews, lambda review: self._write.review(review, pull))

    def _pull_commits(self, request: Request, owner: str, repo: str, number: int) -> tuple[Any, dict[str, str]]:
        pull = self._one_pull(owner, repo, number)
        return self._page(request, pull.commits, lambda commit: self._write.commit(commit, pull.repository))

    def _commits(self, request: Request, owner: str, repo: str) -> tuple[Any, dict[str, str]]:
        repository = self._repository(owner, repo)
        records = _up_to(repository, request.args.get("sha", "main"))
        moment = attrgetter("committed_at")
        since, until = self._moment(request, "since"), self._moment(request, "until")
        low = bisect_left(records, since, key=moment) if since is not None else 0
        high = bisect_right(records, until, key=moment) if until is not None else len(records)
        author = request.args.get("author")
        found = [c for c in reversed(records[low:high]) if author in (None, c.author.login, c.author.email)]
        return self._page(request, found, lambda commit: self._write.commit(commit, repository))

    def _compare(self, request: Request, owner: str, repo: str, base: str, head: str) -> tuple[Any, dict[str, str]]:
        repository = self._repository(owner, repo)
        old, new = _up_to(repository, base), _up_to(repository, head)
        ahead, behind = new[len(old) :], old[len(new) :]
        status = "ahead" if ahead else "behind" if behind else "identical"
        commits, headers = self._page(request, ahead, lambda commit: self._write.commit(commit, repository))
        counts = {"ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead)}
        return {"status": status, **counts, "commits": commits, "files": []}, headers

    def _issues(self, request: Request, owner: str, repo: str) -> tuple[Any, dict[str, str]]:
        repository = self._repository(owner, repo)
        records = self._stated(request, list(repository.issues.values()))
        since = self._moment(request, "since")
        if since is not None:
            records = [issue for issue in records if issue.updated_at >= since]
        return self._page(request, self._sorted(request, records), lambda issue: self._write.issue(issue, repository))

    # -- finding ---------------------------------------------------------------------------------------------------

    def _require_organization(self, name: str) -> None:
        if name.lower() != ORGANIZATION:
            raise _Refused(404, "Not Found")

    def _repository(self, owner: str, name: str) -> Repository:
        repository = self._engineering.repositories.get(name)
        if owner.lower() != ORGANIZATION or repository is None:
            raise _Refused(404, "Not Found")
        return repository

    def _one_pull(self, owner: str, name: str, number: int) -> Pull:
        pull = self._repository(owner, name).pulls.get(number)
        if pull is None:
            raise _Refused(404, "Not Found")
        return pull

    def _stated(self, request: Request, records: list[Any]) -> list[Any]:
        state = request.args.get("state", "open")
        if state not in {"open", "closed", "all"}:
            raise _Refused(422, "Validation Failed")
        return records if state == "all" else [record for record in records if record.state == state]

    def _sorted(self, request: Request, records: list[Any]) -> list[Any]:
        sort = request.args.get("sort", "created")
        if sort not in {"created", "updated"}:
            raise _Refused(422, "Validation Failed")
        # GitHub: newest first, unless pulls are sorted by something named without a direction
        named = "sort" in request.args and request.path.endswith("/pulls") and sort != "created"
        direction = request.args.get("direction", "asc" if named else "desc")
        return sorted(records, key=attrgetter(f"{sort}_at", "number"), reverse=direction == "desc")

    def _moment(self, request: Request, name: str) -> int | None:
        text = request.args.get(name)
        if text is None:
            return None
        try:
            return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
        except ValueError:
            raise _Refused(422, "Validation Failed") from None

    def _page(
        self, request: Request, records: list[Any], draw: Callable[[Any], Any]
    ) -> tuple[list[Any], dict[str, str]]:
        try:
            size = min(_MAX_PER_PAGE, max(1, int(request.args.get("per_page", _PER_PAGE))))
            number = max(1, int(request.args.get("page", 1)))
        except ValueError:
            size, number = _PER_PAGE, 1
        last = max(1, -(-len(records) // size))
        links = []
        for name, target in (("prev", number - 1), ("next", number + 1), ("last", last), ("first", 1)):
            if name in {"prev", "first"} and number == 1:
                continue
            if name in {"next", "last"} and number >= last:
                continue
            arguments = [(k, v) for k, v in request.args.items(multi=True) if k != "page"] + [("page", str(target))]
            links.append(f'<{self.base_url}{request.path}?{urlencode(arguments)}>; rel="{name}"')
        body = [draw(record) for record in records[(number - 1) * size : number * size]]
        return body, {"Link": ", ".join(links)} if links else {}

    # -- limits and errors -----------------------------------------------------------------------------------------

    def _core(self) -> dict[str, int]:
        with self._lock:
            self._turn()
            used = min(self._used, self.limit)
            return {"limit": self.limit, "used": used, "remaining": self.limit - used, "reset": int(self._resets_at)}

    def _turn(self) -> None:
        # the hour of the limit is real time: clients wait in real time
        if time.time() >= self._resets_at:
            self._used, self._resets_at = 0, time.time() + _HOUR

    def _spend(self) -> bool:
        with self._lock:
            self._turn()
            self._used += 1
            return self._used <= self.limit

    def _limits(self) -> dict[str, str]:
        core = self._core()
        return {
            "X-RateLimit-Limit": str(core["limit"]),
            "X-RateLimit-Remaining": str(core["remaining"]),
            "X-RateLimit-Reset": str(core["reset"]),
            "X-RateLimit-Used": str(core["used"]),
            "X-RateLimit-Resource": "core",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "Cache-Control": "private, max-age=60, s-maxage=60",
        }

    def _exhausted(self) -> str:
        return f"API rate limit exceeded for user ID {self._engineering.people[0].id}."

    def refuse(self, request: Request, fault: Fault) -> Response:
        extra = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        if fault.kind == "rate_limit":
            reset = int(time.time() + (fault.retry_after or 1))
            spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset), "X-RateLimit-Used": str(self.limit)}
            return self._error(403, self._exhausted(), headers=spent)
        if fault.kind in {"secondary_rate_limit", "429"}:
            status = 429 if fault.kind == "429" else 403
            text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return self._error(status, text, headers=extra)
        if fault.kind == "expired_token":
            return self._error(401, "Bad credentials", counted=False)
        if fault.kind == "forbidden":
            return self._error(403, "Resource not accessible by personal access token")
        return self._error(int(fault.kind), "Server Error", headers=extra)

    def _error(
        self, status: int, message: str, *, counted: bool = True, headers: dict[str, str] | None = None
    ) -> Response:
        limits = self._limits() if counted else {}
        return reply({"message": message, "documentation_url": DOCUMENTATION}, status, {**limits, **(headers or {})})


def _up_to(repository: Repository, reference: str) -> list[Any]:
    """The history of `main`, oldest first, as far as a branch or a commit reaches."""
    if reference == "main":
        return repository.commits
    for index, commit in enumerate(repository.commits):
        if commit.sha == reference:
            return repository.commits[: index + 1]
    raise _Refused(404, "Not Found")
