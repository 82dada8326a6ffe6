// Any bytes as a journal's segment, and any JSON under a right sum: no crash, nothing read past
// what is whole, and what was read is read again from its own rewriting. Not a store's recovery.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/journal.hpp"
#include "support/fault_disk.hpp"

namespace {

namespace journal = larder::storage::journal;

std::string rewritten(const journal::Commit& commit) {
    std::string text = journal::open_line();
    journal::begin_commit(text, commit.revision, commit.at_ms, true);
    for (const journal::Change& change : commit.changes) {
        if (change.remove) {
            journal::append_remove(text, change.key, change.expired);
        } else {
            journal::append_set(text, change.key, change.value, change.created_ms,
                                change.expires_ms, change.metadata);
        }
    }
    journal::end_commit(text);
    journal::close_line(text);
    return text;
}

struct Read {
    std::string lines;
    std::size_t commits = 0;
    journal::Contents contents;
};

Read read(const std::string& bytes) {
    larder::test::FaultDisk disk;
    disk.place("d/j", bytes);
    Read result;
    result.contents =
        journal::read_segment(*disk.open_read("d/j"), "d/j", [&](const journal::Commit& commit) {
            result.lines += rewritten(commit);
            ++result.commits;
            return std::string();
        });
    return result;
}

std::string framed(std::string_view json) {
    char sum[16];
    std::snprintf(sum, sizeof sum, "%08x ", larder::storage::crc32c(json));
    return sum + std::string(json) + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::string header = framed(R"({"larder":"journal","version":1,"epoch":1,"after":0})");
    // The first byte says whether the rest is a whole segment, or lines to be given their sums.
    std::string segment;
    if (size > 0 && data[0] % 2 == 0) {
        segment = bytes.substr(1);
    } else {
        segment = header;
        for (std::size_t at = 1; at < size;) {
            const std::size_t end = std::min(bytes.find('\n', at), size);
            segment += framed(bytes.substr(at, end - at));
            at = end + 1;
        }
    }
    try {
        const Read once = read(segment);
        require(once.contents.end_offset <= segment.size(), "read past the end");
        const Read again = read(header + once.lines);
        require(again.contents.end == journal::End::clean, "its own lines are not clean");
        require(again.commits == once.commits && again.lines == once.lines, "not read as written");
    } catch (const larder::Error& error) {
        require(error.slug() == "newer-format", "an error of another kind");
    }
    return 0;
}
