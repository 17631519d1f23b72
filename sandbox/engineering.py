"""The company's engineers at work: repositories, pull requests, reviews, commits, issues."""

from __future__ import annotations

import random
from bisect import insort
from dataclasses import dataclass, field

from sandbox import names
from sandbox.ids import Ids
from sandbox.timeline import DAY, HOUR, Timeline, utc

ORGANIZATION = "tidewater"
PULLS_PER_DAY, ISSUES_PER_DAY = 0.6, 0.45
#: (name, language, share of the work, private, archived)
_REPOSITORIES = (
    ("app", "Python", 40, True, False),
    ("web", "TypeScript", 30, True, False),
    ("api-clients", "Go", 10, False, False),
    ("infrastructure", "HCL", 12, True, False),
    ("docs", "MDX", 8, False, False),
    ("legacy-importer", "Ruby", 0, True, True),
)
_VERBS = ("Add", "Fix", "Remove", "Speed up", "Rework", "Test", "Document", "Guard", "Cache", "Split")
_THINGS = (
    "seat counting", "audit log export", "invoice page", "search index", "webhook retries", "session timeout",
    "project archive", "CSV import", "rate limiter", "notification mails", "role permissions", "mobile layout",
    "background jobs", "date picker", "SAML login", "usage charts", "file uploads", "error pages",
)  # fmt: skip


@dataclass(slots=True)
class Person:
    """A member of the organisation. ``pace`` scales how long their work waits."""

    id: int
    login: str
    name: str
    email: str
    pace: float


@dataclass(slots=True)
class Commit:
    sha: str
    message: str
    author: Person
    authored_at: int
    committed_at: int
    parents: list[str]


@dataclass(slots=True)
class Review:
    id: int
    author: Person
    state: str
    body: str
    submitted_at: int
    commit: str


@dataclass(slots=True)
class Repository:
    id: int
    name: str
    language: str
    weight: int
    private: bool
    archived: bool
    created_at: int
    updated_at: int
    pushed_at: int
    number: int = 0
    pulls: dict[int, Pull] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    #: Commits of the default branch, oldest first.
    commits: list[Commit] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{ORGANIZATION}/{self.name}"


@dataclass(slots=True)
class Issue:
    """An issue; every pull request is one too and shares its number (``pull`` is set then)."""

    id: int
    number: int
    title: str
    author: Person
    created_at: int
    updated_at: int
    state: str = "open"
    closed_at: int | None = None
    closed_by: Person | None = None
    comments: int = 0
    pull: Pull | None = None


@dataclass(slots=True)
class Pull:
    id: int
    number: int
    repository: Repository
    issue: Issue
    title: str
    author: Person
    branch: str
    created_at: int
    updated_at: int
    base_sha: str
    draft: bool
    state: str = "open"
    closed_at: int | None = None
    merged_at: int | None = None
    merge_commit_sha: str | None = None
    merged_by: Person | None = None
    commits: list[Commit] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    reviewers: list[Person] = field(default_factory=list)


class Engineering:
    """Fourteen of the forty people write code. Everything happens on the shared timeline."""

    def __init__(self, timeline: Timeline, ids: Ids, rng: random.Random, *, scale: float) -> None:
        self.timeline = timeline
        self.ids = ids
        self.rng = rng
        self.scale = scale
        self.people: list[Person] = []
        taken: set[str] = set()
        while len(self.people) < 14:
            name = names.person(rng)
            login = name.lower().replace(" ", "-")
            if login not in taken:
                taken.add(login)
                number = 40_000_000 + len(self.people) * 1013
                mail = f"{names.local_part(name)}@tidewater.example"
                self.people.append(Person(number, login, name, mail, rng.uniform(0.6, 1.8)))
        start = timeline.now
        self.repositories: dict[str, Repository] = {}
        for index, (name, language, weight, private, archived) in enumerate(_REPOSITORIES):
            born = start - (900 - 100 * index) * DAY
            repository = Repository(
                700_000_000 + index * 7919, name, language, weight, private, archived, born, start, start
            )
            repository.commits.append(self._commit("Initial commit", self.people[0], born, []))
            self.repositories[name] = repository
        timeline.at(start + HOUR, self._next_pull)
        timeline.at(start + 2 * HOUR, self._next_issue)

    def _gap(self, per_day: float) -> int:
        return max(30, round(self.rng.expovariate(per_day * self.scale / DAY)))

    def _working(self, moment: float) -> int:
        """The next moment that is not on a weekend."""
        moment = round(moment)
        while utc(moment).weekday() >= 5:
            moment += DAY
        return moment

    def _pick(self) -> Repository:
        choices = [repository for repository in self.repositories.values() if repository.weight]
        return self.rng.choices(choices, [repository.weight for repository in choices])[0]

    def _commit(self, message: str, author: Person, moment: int, parents: list[str]) -> Commit:
        return Commit(self.ids.sha(), message, author, moment, moment, parents)

    def _touch(self, pull: Pull) -> None:
        pull.updated_at = pull.issue.updated_at = self.timeline.now
        pull.repository.updated_at = max(pull.repository.updated_at, self.timeline.now)

    # -- pull requests ---------------------------------------------------------------------------------------------

    def _next_pull(self) -> None:
        now = self.timeline.now
        self.timeline.at(now + self._gap(PULLS_PER_DAY), self._next_pull)
        repository, author = self._pick(), self.rng.choice(self.people)
        title = f"{self.rng.choice(_VERBS)} {self.rng.choice(_THINGS)}"
        opened = self._working(now + self.rng.lognormvariate(2.2, 1.0) * HOUR)
        # the work began before anybody saw a pull request: its first commits are older than it
        count = self.rng.choices((1, 2, 3, 5, 8), (30, 30, 20, 14, 6))[0]
        moments = sorted(self.rng.randint(now, max(now + 1, opened)) for _ in range(count))
        self.timeline.at(opened, self._open, repository, author, title, moments)

    def _open(self, repository: Repository, author: Person, title: str, moments: list[int]) -> None:
        now = self.timeline.now
        repository.number += 1
        number = repository.number
        issue = Issue(self.ids.number("issue", 1_500_000_000), number, title, author, now, now)
        branch = f"{author.login}/{title.lower().replace(' ', '-')}-{number}"
        base = repository.commits[-1].sha
        draft = self.rng.random() < 0.15
        pull = Pull(
            self.ids.number("pull", 1_900_000_000),
            number,
            repository,
            issue,
            title,
            author,
            branch,
            now,
            now,
            base,
            draft,
        )
        issue.pull = pull
        parent = base
        for index, moment in enumerate(moments):
            text = title if index == 0 else f"{self.rng.choice(_VERBS)} {self.rng.choice(_THINGS)}"
            pull.commits.append(self._commit(text, author, moment, [parent]))
            parent = pull.commits[-1].sha
        repository.pulls[number] = pull
        repository.issues[number] = issue
        repository.pushed_at = repository.updated_at = now
        others = [person for person in self.people if person is not author]
        pull.reviewers = self.rng.sample(others, self.rng.choice((1, 1, 2)))
        if draft:
            self.timeline.at(self._working(now + self.rng.uniform(0.5, 4) * DAY), self._ready, pull)
        elif self.rng.random() < 0.04:
            return  # forgotten: stays open
        else:
            self._review_soon(pull, 0)

    def _ready(self, pull: Pull) -> None:
        pull.draft = False
        self._touch(pull)
        self._review_soon(pull, 0)

    def _review_soon(self, pull: Pull, turn: int) -> None:
        reviewer = pull.reviewers[turn % len(pull.reviewers)]
        wait = self.rng.lognormvariate(1.8, 1.1) * HOUR * reviewer.pace
        self.timeline.at(self._working(self.timeline.now + wait), self._review, pull, reviewer, turn)

    def _review(self, pull: Pull, reviewer: Person, turn: int) -> None:
        if pull.state != "open":
            return
        state = self.rng.choices(("APPROVED", "COMMENTED", "CHANGES_REQUESTED"), (50 + 20 * turn, 30, 20))[0]
        body = {"APPROVED": "", "COMMENTED": "One question inline.", "CHANGES_REQUESTED": "Please see inline."}[state]
        pull.reviews.append(
            Review(
                self.ids.number("review", 2_100_000_000),
                reviewer,
                state,
                body,
                self.timeline.now,
                pull.commits[-1].sha,
            )
        )
        pull.issue.comments += self.rng.choice((0, 0, 1))
        self._touch(pull)
        if state == "APPROVED":
            self.timeline.at(self._working(self.timeline.now + self.rng.expovariate(1 / (5 * HOUR))), self._close, pull)
            return
        if turn > 5 or self.rng.random() < 0.08:
            self.timeline.at(self.timeline.now + self.rng.randint(2, 12) * DAY, self._abandon, pull)
            return
        if state == "CHANGES_REQUESTED":
            again = self._working(self.timeline.now + self.rng.lognormvariate(2.0, 0.8) * HOUR)
            self.timeline.at(again, self._push, pull)
        self._review_soon(pull, turn + 1)

    def _push(self, pull: Pull) -> None:
        if pull.state != "open":
            return
        parent = pull.commits[-1].sha
        pull.commits.append(self._commit("Answer the review", pull.author, self.timeline.now, [parent]))
        pull.repository.pushed_at = self.timeline.now
        self._touch(pull)

    def _close(self, pull: Pull) -> None:
        if pull.state != "open":
            return
        now, repository = self.timeline.now, pull.repository
        merged = self._commit(f"{pull.title} (#{pull.number})", pull.author, now, [repository.commits[-1].sha])
        insort(repository.commits, merged, key=lambda commit: commit.committed_at)
        pull.merged_at, pull.merge_commit_sha = now, merged.sha
        pull.merged_by = self.rng.choice((pull.author, pull.reviews[-1].author))
        repository.pushed_at = now
        self._end(pull)

    def _abandon(self, pull: Pull) -> None:
        if pull.state == "open":
            self._end(pull)

    def _end(self, pull: Pull) -> None:
        now = self.timeline.now
        pull.state = pull.issue.state = "closed"
        pull.closed_at = pull.issue.closed_at = now
        pull.issue.closed_by = pull.merged_by or pull.author
        self._touch(pull)

    # -- issues ----------------------------------------------------------------------------------------------------

    def _next_issue(self) -> None:
        now = self.timeline.now
        self.timeline.at(now + self._gap(ISSUES_PER_DAY), self._next_issue)
        repository = self._pick()
        repository.number += 1
        title = f"{self.rng.choice(_THINGS).capitalize()} {self.rng.choice(('is slow', 'fails', 'looks wrong', 'is missing'))}"
        author = self.rng.choice(self.people)
        issue = Issue(self.ids.number("issue", 1_500_000_000), repository.number, title, author, now, now)
        repository.issues[issue.number] = issue
        if self.rng.random() < 0.6:
            self.timeline.at(now + self._gap(0.5), self._comment, issue)
        if self.rng.random() < 0.85:
            self.timeline.at(now + round(self.rng.lognormvariate(1.5, 1.2) * DAY), self._close_issue, issue)

    def _comment(self, issue: Issue) -> None:
        issue.comments += 1
        issue.updated_at = self.timeline.now

    def _close_issue(self, issue: Issue) -> None:
        issue.state, issue.closed_at, issue.closed_by = "closed", self.timeline.now, self.rng.choice(self.people)
        issue.updated_at = self.timeline.now
