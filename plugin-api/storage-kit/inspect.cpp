// Recovery itself is the judge, on a view of the files that keeps its changes to itself: so this
// cannot differ from what opening does.
//
//   View        a file system that only pretends to change
//   salvage     whole lines of a readable file that is none
//   inspect, save
#include "storage-kit/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/checkpoint.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {
namespace {

// Takes what is written, and keeps nothing.
class NoFile final : public File {
public:
    void write(std::uint64_t, std::span<const std::string_view>) override {}
    std::size_t read(std::uint64_t, std::span<char>) override { return 0; }
    void sync_data() override {}
    void allocate(std::uint64_t, std::uint64_t) override {}
    void truncate(std::uint64_t) override {}
    std::uint64_t size() const override { return 0; }
    std::int64_t modified_ms() const override { return 0; }
};

// Reads through; renames and removals are remembered, not done.
class View final : public FileSystem {
public:
    explicit View(FileSystem& real) : real_(real) {}

    std::unique_ptr<File> open_read(const std::string& path) override {
        return real_.open_read(behind(path).value_or(path));
    }
    std::unique_ptr<File> open_write(const std::string&) override {
        return std::make_unique<NoFile>();
    }
    std::unique_ptr<File> create(const std::string&) override { return std::make_unique<NoFile>(); }
    bool exists(const std::string& path) override {
        const auto real = behind(path);
        return real && real_.exists(*real);
    }
    void rename(const std::string& from, const std::string& to) override {
        names_[to] = behind(from);
        names_[from] = std::nullopt;
    }
    void remove(const std::string& path) override { names_[path] = std::nullopt; }
    void make_directory(const std::string&) override {}
    void sync_directory(const std::string&) override {}
    std::vector<std::string> list(const std::string& directory) override {
        return real_.list(directory);
    }

private:
    // The real name of what would now be called so; nothing: it would be gone.
    std::optional<std::string> behind(const std::string& path) const {
        const auto found = names_.find(path);
        return found == names_.end() ? path : found->second;
    }

    FileSystem& real_;
    std::map<std::string, std::optional<std::string>> names_;
};

// A line of our own layout: `"key": value`, with or without a comma.
bool salvage_line(std::string_view line, std::int64_t modified_ms, Index& into) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.ends_with(',')) line.remove_suffix(1);
    const std::string object = fmt::format("{{{}}}", line);
    try {
        json::check(object, json::kMaxDepth + 1);
    } catch (const json::InvalidJson&) {
        return false;
    }
    json::Walk member(object);
    if (!member.next()) return false;
    do {
        into.put(make_document({1, modified_ms, modified_ms, 0}, json::unquoted(member.name()),
                               json::compact(member.value()), {}));
    } while (member.next());
    return true;
}

void salvage(FileSystem& files, const checkpoint::Paths& paths, Inspection& result) {
    const std::int64_t modified = files.open_read(paths.json)->modified_ms();
    const std::string text = read_file(files, paths.json);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const bool frame = line.find_first_not_of(" \t\r{},") == std::string_view::npos;
        if (!frame && !salvage_line(line, modified, result.savable)) ++result.lost_lines;
    }
    const auto meta = files.exists(paths.meta)
                          ? checkpoint::read_meta(files, paths.meta, [](const checkpoint::Line&) {})
                          : checkpoint::Meta{};
    if (meta.head) result.version = {meta.head->epoch, meta.head->revision};
    result.version.revision = std::max<std::uint64_t>(result.version.revision, 1);
}

std::size_t whole_batches_after(FileSystem& files, const std::string& path, std::uint64_t end) {
    if (!files.exists(path)) return 0;
    const auto file = files.open_read(path);
    return journal::count_whole_lines(*file, end);
}

}  // namespace

Inspection inspect(FileSystem& files, const std::string& path, std::int64_t now_ms) {
    const checkpoint::Paths paths(path);
    View view(files);
    Inspection result;
    const auto report = [&](const Finding& finding) { result.findings.push_back(finding); };
    try {
        Recovered found = recover(view, paths, now_ms, report);
        result.savable = std::move(found.index);
        result.version = {found.epoch, found.revision};
        if (!found.damage.empty()) {
            result.unreachable_batches =
                whole_batches_after(files, paths.journal_old, found.old_end) +
                whole_batches_after(files, paths.journal, found.journal_end);
        }
    } catch (const Error& error) {
        if (error.slug() == "newer-format") throw;
        result.findings.push_back({Finding::Kind::unreadable, error.internal()});
        salvage(files, paths, result);
    }
    for (const Finding& finding : result.findings) {
        const bool damaged =
            finding.kind == Finding::Kind::damaged || finding.kind == Finding::Kind::unreadable;
        if (damaged) result.verdict = Inspection::Verdict::damaged;
        if (finding.kind == Finding::Kind::torn_tail &&
            result.verdict == Inspection::Verdict::whole) {
            result.verdict = Inspection::Verdict::torn;
        }
    }
    return result;
}

void save(FileSystem& files, const Inspection& inspection, const std::string& path) {
    const checkpoint::Paths paths(path);
    for (const std::string* const name :
         {&paths.json, &paths.meta, &paths.journal, &paths.journal_old}) {
        if (!files.exists(*name)) continue;
        throw Error(Errc::conflict, "exists", "there is a store of this name already")
            .because(fmt::format("{}: is there already: name a new file", *name));
    }
    checkpoint::Head head;
    head.epoch = inspection.version.epoch + 1;
    head.revision = head.folded = inspection.version.revision;
    checkpoint::Writer writer(files, paths);
    inspection.savable.walk({}, nullptr, [&](const DocumentPtr& document) {
        writer.add(*document);
        return true;
    });
    writer.finish(head);
    files.sync_directory(paths.folder);
    files.rename(paths.meta_tmp, paths.meta);
    files.rename(paths.json_tmp, paths.json);
    files.sync_directory(paths.folder);
}

}  // namespace larder::storage
