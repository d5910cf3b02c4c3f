#!/usr/bin/env bash
# Casts a ballot with nothing but curl, again and again until it is answered; it counts once.
#
#   docs/examples/vote.sh http://127.0.0.1:8080 POLL OPTION [COOKIES]
#
# Who votes is a cookie, which the first answer brings and the file COOKIES keeps (voter.cookies): the
# same file is the same voter. Prints the final answer; the status is 0 where the ballot is counted.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64; }
gateway=$1 poll=$2 option=$3 cookies=${4:-voter.cookies} introduced=

for attempt in $(seq 30); do
    # The body, and then the status on a line of its own; 000 where nobody answered.
    answer=$(curl -s --max-time 15 --cookie "$cookies" --cookie-jar "$cookies" -w '\n%{http_code}' \
        "$gateway/votes/" -H 'Content-Type: application/json' \
        -d "{\"poll_id\":$poll,\"option_id\":$option}") || true
    case ${answer##*$'\n'} in
    200 | 201) echo "${answer%$'\n'*}"; exit 0 ;;              # counted, or changed, or counted before
    401) [ -z "$introduced" ] || break; introduced=yes ;;      # a cookie came with it: once more
    000 | 429 | 5??) sleep "$((attempt < 5 ? attempt : 5))" ;; # sending it again is safe
    *) break ;;                                                # 409 already_voted, 410, 404, 422
    esac
done
echo "${answer%$'\n'*}" >&2
exit 1
