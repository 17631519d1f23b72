"""The spreadsheet behind Google's Sheets API, and the address where a service account gets its token.

Answers, errors and the quota of 60 reads a minute are Google's. The signature of every request for a token is checked
with the public half of the key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
import time
from collections import deque
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.faults import Fault
from sandbox.finance import Cell, Sheet

SPREADSHEET_ID = "1TidewaterPlanAndActuals0x7e5B3kQmWcVbN2"
EMAIL = "portal@tidewater-finance.iam.gserviceaccount.com"
PROJECT = "tidewater-finance"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = frozenset(
    f"https://www.googleapis.com/auth/{name}"
    for name in ("spreadsheets.readonly", "spreadsheets", "drive.readonly", "drive")
)
READS_A_MINUTE = 60
TOKEN_SECONDS = 3599
_A1 = re.compile(r"([A-Za-z]+)?(\d+)?(?::([A-Za-z]+)?(\d+)?)?")


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class GoogleSheetsDoor(Door):
    """One spreadsheet, shared with one service account."""

    service = "google_sheets"

    def __init__(self, company: Company, private_key: str) -> None:
        super().__init__()
        self._company = company
        self._private_key = private_key
        loaded: Any = serialization.load_pem_private_key(private_key.encode(), None)
        self._public: Any = loaded.public_key()
        self._key_id = base64.b16encode(self._public.public_numbers().n.to_bytes(256, "big")[:20]).decode().lower()
        self.limit = READS_A_MINUTE
        #: Whether the spreadsheet is shared with the service account.
        self.is_shared = True
        self._tokens: dict[str, float] = {}
        self._reads: deque[float] = deque()
        self._lock = threading.Lock()

    @property
    def token_uri(self) -> str:
        return f"{self.base_url}/token"

    def key(self) -> dict[str, str]:
        """The service account's key as Google hands it out."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self._key_id,
            "private_key": self._private_key,
            "client_email": EMAIL,
            "client_id": "104857600000000000042",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def endpoint(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "service_account_key": json.dumps(self.key(), indent=2),
            "spreadsheet": f"https://docs.google.com/spreadsheets/d/{SPREADSHEET_ID}/edit#gid=0",
        }

    def expire_tokens(self) -> None:
        """From now on every token that was given out is answered with 401."""
        with self._lock:
            self._tokens.clear()

    def forget_requests(self) -> None:
        super().forget_requests()
        with self._lock:
            self._reads.clear()

    # -- answers -----------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        if request.path == "/token":
            return self._token(request)
        try:
            self._require_token(request)
            parts = request.path.strip("/").split("/", 4)
            if request.method != "GET" or parts[:2] != ["v4", "spreadsheets"] or len(parts) < 3:
                raise _Refused(404, "Requested entity was not found.")
            self._spend()
            identity, _, verb = parts[2].partition(":")
            if identity != SPREADSHEET_ID or verb:
                raise _Refused(404, "Requested entity was not found.")
            if not self.is_shared:
                raise _Refused(403, "The caller does not have permission")
            with self._company.lock:
                sheets = self._company.finance.sheets()
            if len(parts) == 3:
                return reply(self._about(sheets, request))
            return reply(self._values(sheets, parts[3:], request))
        except _Refused as error:
            return _error(error.status, error.message)

    def _about(self, sheets: list[Sheet], request: Request) -> dict[str, Any]:
        return {
            "spreadsheetId": SPREADSHEET_ID,
            "properties": {
                "title": self._company.finance.title,
                "locale": "en_US",
                "autoRecalc": "ON_CHANGE",
                "timeZone": "Etc/GMT",
            },
            "sheets": [_described(sheet, index) for index, sheet in enumerate(sheets)],
            "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{SPREADSHEET_ID}/edit",
        }

    def _values(self, sheets: list[Sheet], path: list[str], request: Request) -> dict[str, Any]:
        if path == ["values:batchGet"]:
            ranges = [_value_range(sheets, name, request) for name in request.args.getlist("ranges")]
            return {"spreadsheetId": SPREADSHEET_ID, "valueRanges": ranges}
        if path[0] == "values" and len(path) == 2:
            return _value_range(sheets, path[1], request)
        raise _Refused(404, "Requested entity was not found.")

    # -- signing in --------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        if request.form.get("grant_type") != GRANT:
            return _token_error("unsupported_grant_type", f"Invalid grant_type: {request.form.get('grant_type', '')}")
        try:
            head, body, signature = request.form.get("assertion", "").split(".")
            header, claims = json.loads(_unpacked(head)), json.loads(_unpacked(body))
            if header.get("alg") != "RS256":
                raise ValueError
            signed = f"{head}.{body}".encode()
            self._public.verify(_unpacked(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return _token_error("invalid_grant", "Invalid JWT Signature.")
        except (ValueError, binascii.Error):
            return _token_error("invalid_grant", "Bad Request")
        if claims.get("iss") != EMAIL:
            return _token_error("invalid_grant", "Invalid grant: account not found")
        now = time.time()  # clients sign with the real time
        if (
            claims.get("aud") != self.token_uri
            or not claims.get("iat", 0) - 300 <= now < claims.get("exp", 0) <= now + 3900
        ):
            text = (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat "
                "and exp values in the JWT claim."
            )
            return _token_error("invalid_grant", text)
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            return _token_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"ya29.c.{secrets.token_urlsafe(48)}"
        with self._lock:
            self._tokens[token] = now + TOKEN_SECONDS
        return reply({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    def _require_token(self, request: Request) -> None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        with self._lock:
            good_until = self._tokens.get(value.strip(), 0.0) if scheme.lower() == "bearer" else 0.0
        if time.time() >= good_until:
            raise _Refused(401, _UNAUTHENTICATED)

    def _spend(self) -> None:
        now = time.monotonic()
        with self._lock:
            while self._reads and self._reads[0] <= now - 60:
                self._reads.popleft()
            if len(self._reads) >= self.limit:
                raise _Refused(429, _quota(self.limit))
            self._reads.append(now)

    def refuse(self, request: Request, fault: Fault) -> Response:
        extra = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        if request.path == "/token" and fault.kind in {"expired_token", "forbidden"}:
            return _token_error("invalid_grant", "Invalid JWT Signature.")
        if fault.kind in {"429", "rate_limit", "secondary_rate_limit"}:
            return _error(429, _quota(self.limit), extra)
        if fault.kind == "expired_token":
            return _error(401, _UNAUTHENTICATED)
        if fault.kind == "forbidden":
            return _error(403, "The caller does not have permission")
        return _error(int(fault.kind), "The service is currently unavailable.", extra)


_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def _quota(limit: int) -> str:
    return (
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of service "
        f"'sheets.googleapis.com' for consumer 'project_number:104857600042'. ({limit})"
    )


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return reply(
        {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}, status, headers
    )


def _token_error(kind: str, text: str) -> Response:
    return reply({"error": kind, "error_description": text}, 400)


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _described(sheet: Sheet, index: int) -> dict[str, Any]:
    rows, columns = sheet.size
    described: dict[str, Any] = {
        "properties": {
            "sheetId": sheet.id,
            "title": sheet.title,
            "index": index,
            "sheetType": "GRID",
            "gridProperties": {"rowCount": max(rows, len(sheet.rows)), "columnCount": columns},
        }
    }
    if sheet.merges:
        names = ("startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex")
        described["merges"] = [{"sheetId": sheet.id, **dict(zip(names, merge, strict=True))} for merge in sheet.merges]
    return described


def _value_range(sheets: list[Sheet], name: str, request: Request) -> dict[str, Any]:
    """One range: what is empty at the end of rows, and of the range, is left out."""
    sheet, top, bottom, left, right = _resolved(sheets, name)
    rows = [[_rendered(cell, request) for cell in row[left:right]] for row in sheet.rows[top:bottom]]
    for row in rows:
        while row and row[-1] == "":
            row.pop()
    while rows and not rows[-1]:
        rows.pop()
    title = sheet.title if re.fullmatch(r"\w+", sheet.title) else "'" + sheet.title.replace("'", "''") + "'"
    spelled = f"{title}!{_letters(left)}{top + 1}:{_letters(right - 1)}{bottom}"
    return {"range": spelled, "majorDimension": "ROWS"} | ({"values": rows} if rows else {})


def _rendered(cell: Cell | None, request: Request) -> Any:
    if cell is None:
        return ""
    if request.args.get("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE":
        return cell.shown
    if cell.is_date and request.args.get("dateTimeRenderOption", "SERIAL_NUMBER") == "FORMATTED_STRING":
        return cell.shown
    return cell.value


def _resolved(sheets: list[Sheet], name: str) -> tuple[Sheet, int, int, int, int]:
    """The sheet and the rows and columns (from 0, the last one excluded) that a range in A1 notation means."""
    title, mark, cells = name.rpartition("!")
    if not mark:
        title, cells = name, ""
    plain = title[1:-1].replace("''", "'") if title.startswith("'") else title
    sheet = next((each for each in sheets if each.title.casefold() == plain.casefold()), None)
    match = _A1.fullmatch(cells)
    if sheet is None or match is None or (mark and not cells):
        raise _Refused(400, f"Unable to parse range: {name}")
    rows, columns = max(sheet.size[0], len(sheet.rows)), sheet.size[1]
    if not cells:
        return sheet, 0, rows, 0, columns
    first_column, first_row, last_column, last_row = match.groups()
    is_one = ":" not in cells
    left = _number(first_column) if first_column else 0
    top = int(first_row) - 1 if first_row else 0
    right = left + 1 if is_one else _number(last_column) + 1 if last_column else columns
    bottom = top + 1 if is_one else int(last_row) if last_row else rows
    if left >= columns or top >= rows:
        raise _Refused(400, f"Range ({name}) exceeds grid limits. Max rows: {rows}, max columns: {columns}")
    return sheet, top, min(bottom, rows), left, min(right, columns)


def _letters(column: int) -> str:
    name = ""
    while column >= 0:
        column, rest = divmod(column, 26)
        name = chr(65 + rest) + name
        column -= 1
    return name


def _number(name: str) -> int:
    number = 0
    for letter in name.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1
