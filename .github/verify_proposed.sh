#!/usr/bin/env bash
# Verifies the submissions that a branch adds: verify_proposed.sh BASE_CHECKOUT PROPOSED_CHECKOUT BASE_COMMIT
# The verifier and the ledger are those of the base; of the proposal only folders of data are read.
set -euo pipefail
base=$(realpath "$1") proposed=$(realpath "$2") commit=$3
root=leaderboards/submissions

# Against the point where it branched off. Names end in NUL: a name may hold anything else.
since=$(git -C "$proposed" merge-base "$commit" HEAD)
declare -A folders=()
while IFS= read -r -d '' status && IFS= read -r -d '' path; do
  if [[ $path != "$root"/*/*/* ]]; then
    printf 'FAIL  %q: a submission changes nothing outside of its own folder\n' "$path"; exit 1
  fi
  if [[ $status != A ]]; then
    printf 'FAIL  %q: what was taken in may not change (%s)\n' "$path" "$status"; exit 1
  fi
  IFS=/ read -r _ _ board name _ <<<"$path"
  folders["$board/$name"]=1
done < <(git -C "$proposed" diff --no-renames --name-status -z "$since" HEAD)

# Among the base's submissions, so that duplicates are found, and that the ledger is the base's.
mkdir -p "$base/$root"
for entry in "${!folders[@]}"; do
  if [[ ! $entry =~ ^[a-z0-9.@-]+/[a-z0-9.,_=-]+$ || $entry == *..* ]]; then
    printf 'FAIL  %q: no name of a submission\n' "$entry"; exit 1
  fi
  if [[ -L $proposed/$root || -L $proposed/$root/${entry%/*} || -e $base/$root/$entry ]]; then
    printf 'FAIL  %q: is there already, or its folder is a link\n' "$entry"; exit 1
  fi
  mkdir -p "$base/$root/${entry%/*}"
  cp --recursive --no-dereference "$proposed/$root/$entry" "$base/$root/$entry"
done
cd "$base"
for entry in "${!folders[@]}"; do
  .venv/bin/edge-marl verify "$root/$entry" ${SANDBOX:+--sandbox "$SANDBOX"}
done
