// All that is done in Redis, as Lua scripts: each one atomic step. KEYS[1] is the prefix of our
// keys. Who runs them is redis_link; what they mean stands with who asks.
//
//   cache:<key>          hash d (envelope), t (",tag,tag,"); ends with the entry
//   tag:<tag>            set of keys that may bear the tag
//   mark:key:<key>, mark:tag:<tag>   number of the latest invalidation; a day
//   mark:broad           sorted set of prefixes that were invalidated, by number
//   seq, epoch           the number, and what a flush ends
//   session:<sha256>     hash; user:<user_id> set of them
//   rate_limit:<name>:<key>   theoretical arrival time, microseconds
//   board:<name>         sorted set; list:<name> list
//   pushed:<name>        the number of the list's newest value; pushes: where those of a new one
//   begin changes              channel: "<daemon> <kind><text>"
#pragma once

#include <string>

#include "redis_link.hpp"

namespace larder::cache::scripts {

// Would-be epoch → the epoch. Fails where nothing can be written.
const Script& hello();
std::string fresh_epoch();

// key, would-be epoch → {envelope or "", milliseconds left, epoch, seq}
const Script& get_entry();
// key, envelope, tags, milliseconds, daemon, token's epoch or "", its seq → 1, or 0: stale
const Script& put_entry();
// daemon, key… → how many were there; marks and tells of each
const Script& delete_entries();
// kind, text, literal prefix, would-be epoch: notes that what matches is invalidated
const Script& mark_broad();
// tag → {removed, 1 if there is more}
const Script& drop_tagged();
// key… → how many were there; without marks: mark_broad was before
const Script& drop_entries();

// key, limit, window (µs), cost → {allowed, left, µs to full, µs to wait}, as texts
const Script& take_from_limit();

// id, now, time to live, at most until, user, data, ip; times in ms → 1
const Script& create_session();
// id, now → {user, data, created, last, expires, ip, ttl} or nothing
const Script& touch_session();
// now, id… → for each the same, with empty data and without the touch
const Script& show_sessions();
// id, data as it was, data, ttl → 1, or 0: it is not as it was
const Script& change_session();
// id… → how many were there
const Script& end_sessions();
// user → how many there were
const Script& end_sessions_of();

// name, member, "by" or "score", number, most members → {score, rank from 0}, or 0: full, 1: not
// finite
const Script& score_member();
// name, member → {score, rank} or nothing
const Script& rank_member();
// name, count[, score, member] → {how many are better, member, score, …}: the best, or those behind
// the place that this member had with this score
const Script& page_board();
// name, value, keep → length
const Script& push_to_list();
// name, count, number → {the first one's number, value…}: of those with a lower number than this;
// for 0, of all
const Script& page_list();
// name → 1, or 0: it was not there
const Script& remove_list();

}  // namespace larder::cache::scripts
