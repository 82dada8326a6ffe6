// What is known of a stored file: the origin's record, as it is kept in files_metadata.json and as
// it is answered. Neither where records are kept nor the files themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage-kit/document_store.hpp"

namespace larder::files {

// Times are Unix milliseconds, 0 is none; sizes bytes; texts UTF-8.
struct Record {
    std::string filename;  // the stored name, and its key
    std::string original_name, mime_type;
    std::string sent_mime_type;  // what the client said it was; may be empty
    std::string hash;            // SHA-256, 64 lower-case hexadecimal digits
    std::string uploader_ip;
    std::string tags = "[]";  // a JSON array or object of strings
    std::uint64_t size = 0, download_count = 0;
    std::int64_t uploaded_ms = 0, accessed_ms = 0, expires_ms = 0;
    std::int64_t damaged_ms = 0;  // since when its bytes are known not to be those of its hash
};

bool is_live(const Record& record, std::int64_t now_ms) noexcept;

// The value and the metadata under which a document store keeps it.
std::string stored_json(const Record& record);
std::string stored_metadata(const Record& record);
// The record of a document; nothing where its value is none. The origin's own are taken, too:
// times without a zone are UTC.
std::optional<Record> record_of(const storage::Document& document);

// The record as GET …/metadata answers it.
std::string answer_json(const Record& record);

bool is_media_type(std::string_view text);  // "text/csv", with parameters or not (RFC 9110 §8.3.1)
std::string url_of(std::string_view filename);       // "/api/files/a%20b_1.txt"
std::string percent_encoded(std::string_view text);  // all but RFC 3986's unreserved

}  // namespace larder::files
