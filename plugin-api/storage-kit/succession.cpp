#include "storage-kit/succession.hpp"

#include <algorithm>

#include "larder/time.hpp"
#include "storage-kit/checkpoint.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {
namespace {

void ignore(const Finding& /*finding*/) {}

}  // namespace

WrittenPair write_pair(FileSystem& files, const std::string& path,
                       const std::vector<DocumentPtr>& documents, const Version& version,
                       const Shape& shape) {
    const checkpoint::Paths paths(path, shape);
    checkpoint::Writer writer(files, paths);
    for (const DocumentPtr& document : documents) writer.add(*document);
    checkpoint::Head head;
    head.epoch = version.epoch;
    head.revision = head.folded = version.revision;
    writer.finish(head);
    return {paths.json_tmp, paths.meta_tmp, head.json_sha256};
}

void succeed_store(FileSystem& files, const std::string& path, const std::string& previous,
                   const Shape& shape) {
    const Recovered found =
        recover(files, checkpoint::Paths(previous, shape), unix_now_ms(), ignore);
    succeed(files, path, {found.epoch, found.revision}, shape);
}

void succeed(FileSystem& files, const std::string& path, const Version& previous,
             const Shape& shape) {
    const checkpoint::Paths paths(path, shape);
    const Recovered found = recover(files, paths, unix_now_ms(), ignore);
    if (!found.damage.empty()) {
        throw Error(Errc::corrupt, "damaged", "what was restored is damaged")
            .because(path + ": " + found.damage);
    }
    checkpoint::Head head;
    head.epoch = std::max(found.epoch, previous.epoch) + 1;
    head.revision = head.folded = std::max(found.revision, previous.revision) + 1;
    head.previous_sha256 = found.json_sha256;
    files.make_directory(paths.folder);
    const bool is_empty = found.index.size() == 0 && !files.exists(paths.json);
    if (is_empty) {
        checkpoint::write_cleared(files, paths, head);
    } else {
        checkpoint::Writer writer(files, paths);
        found.index.walk({}, nullptr, [&](const DocumentPtr& document) {
            const Stamp stamp{head.revision, document->created_ms, document->updated_ms,
                              document->expires_ms};
            writer.add(*make_document(stamp, document->key, document->value, document->metadata));
            return true;
        });
        writer.finish(head);
    }
    files.sync_directory(paths.folder);
    files.rename(paths.meta_tmp, paths.meta);
    if (!is_empty) files.rename(paths.json_tmp, paths.json);
    files.sync_directory(paths.folder);
    // Of an epoch before: passed over by whoever opens it, should they stay.
    files.remove(paths.journal);
    files.remove(paths.journal_old);
    files.sync_directory(paths.folder);
}

}  // namespace larder::storage
