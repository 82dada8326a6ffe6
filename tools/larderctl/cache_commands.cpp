// The commands about the cache and sessions.
#include <Poco/JSON/Object.h>
#include <fmt/format.h>

#include <iostream>

#include "answers.hpp"
#include "command.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

using Poco::JSON::Object;

int stats(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/cache/stats"));
    const auto now = client.object("GET", "/api/cache/stats");
    const auto first = now->getObject("l1"), second = now->getObject("l2");
    const auto evictions = first->getObject("evictions");
    Table table({"", "MEMORY", "REDIS"});
    table.add({"state", "ok", text_of(second, "state")});
    for (const char* member : {"hits", "stale_hits", "misses"}) {
        table.add({member, text_of(first, member), text_of(second, member)});
    }
    table.add({"entries", text_of(first, "entries"), ""});
    table.add({"bytes",
               fmt::format("{} of {}", text_of(first, "bytes"), text_of(first, "capacity")), ""});
    for (const char* reason : {"size", "rejected", "expired", "invalidated"}) {
        table.add({fmt::format("gone: {}", reason), text_of(evictions, reason), ""});
    }
    table.add({"errors", "", text_of(second, "errors")});
    table.print();
    const auto why = second->getValue<std::string>("reason");
    if (!why.empty()) std::cout << why << '\n';
    return kOk;
}

int print_removed(Context& context, const Answer& answer, const char* what) {
    if (context.json) {
        print_json(answer);
    } else {
        std::string digits;
        for (const char c : answer.body) {
            if (c >= '0' && c <= '9') digits += c;
        }
        std::cout << digits << ' ' << what << '\n';
    }
    return kOk;
}

int flush(Context& context) {
    std::string query;
    for (const char* name : {"prefix", "pattern", "tag"}) {
        const auto value = context.words.value(std::string("--") + name);
        if (!value) continue;
        if (!query.empty()) throw UsageError("one of --prefix, --pattern and --tag is enough");
        query = fmt::format("{}={}", name, escaped(*value));
    }
    if (context.words.flag("--all")) {
        if (!query.empty()) throw UsageError("--all goes with none of the others");
        query = "all=true";
    }
    if (query.empty()) throw UsageError("say what: --prefix, --pattern, --tag or --all");
    return print_removed(context, context.client().demand("DELETE", "/api/cache?" + query),
                         "entries removed");
}

int warm(Context& context) {
    const bool is_dry = context.words.flag("--dry-run");
    const Answer answer = context.client().demand(
        "POST", is_dry ? "/api/cache/warm?dry_run=true" : "/api/cache/warm");
    if (context.json) return print_json(answer);
    const auto warmed = object_of(answer);
    std::cout << text_of(warmed, "warmed") << (is_dry ? " entries to store" : " entries stored")
              << '\n';
    for (const auto& name : *warmed->getArray("missing")) {
        std::cout << "nothing from " << name.toString() << ": that plugin is off\n";
    }
    return kOk;
}

int list_sessions(Context& context) {
    std::string target = "/api/sessions";
    const auto user = context.words.value("--user");
    const Client client = context.client();
    if (context.json) {
        const std::string query = user ? "&user_id=" + escaped(*user) : "";
        print_json(client.demand("GET", target + "?limit=1000" + query));
        return kOk;
    }
    if (user) target += "?user_id=" + escaped(*user) + "&";
    Table table({"USER", "BEGAN", "LAST SEEN", "ENDS", "ADDRESS"});
    for (const auto& session : client.items(target)) {
        table.add({printable(text_of(session, "user_id")), text_of(session, "created_at"),
                   text_of(session, "last_activity"), text_of(session, "expires_at"),
                   text_of(session, "ip_address")});
    }
    table.print();
    return kOk;
}

int revoke_sessions(Context& context) {
    const std::string target = "/api/sessions?user_id=" + escaped(context.words.arguments[0]);
    return print_removed(context, context.client().demand("DELETE", target), "sessions ended");
}

}  // namespace

std::vector<Command> cache_commands() {
    return {
        {"cache stats",
         "",
         0,
         0,
         "Hits, misses, and what is kept, in memory and in Redis",
         {},
         stats},
        {"cache flush",
         "",
         0,
         0,
         "Remove entries, in every daemon that shares the Redis",
         {{"--prefix", "TEXT", "those whose keys begin with it"},
          {"--pattern", "PATTERN", "those whose keys it matches: user:*"},
          {"--tag", "TAG", "those that bear it"},
          {"--all", "", "all of them"}},
         flush},
        {"cache warm",
         "",
         0,
         0,
         "Fill it with the buckets of cache.warm_buckets and the programs used last",
         {{"--dry-run", "", "count what there is to store, and store nothing"}},
         warm},
        {"session list",
         "",
         0,
         0,
         "The sessions, without their ids",
         {{"--user", "NAME", "only this user's"}},
         list_sessions},
        {"session revoke", "USER", 1, 1, "End all sessions of a user", {}, revoke_sessions},
    };
}

}  // namespace larder::ctl
