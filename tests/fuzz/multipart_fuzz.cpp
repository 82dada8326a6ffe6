// Multipart bodies of any bytes, in pieces that the input chooses: what the reader tells must not
// depend on the pieces, and what it told is in the body.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "files_multipart.hpp"
#include "fuzz/require.hpp"
#include "larder/error.hpp"

namespace {

using larder::files::MultipartReader;
using larder::files::PartHead;

// Everything that was told, in one text; and that it was told in turn.
class Story final : public MultipartReader::Listener {
public:
    void begin_part(PartHead&& head) override {
        require(!open_);
        open_ = true;
        text += "\1" + head.name + "\2" + head.filename.value_or("\3") + "\4" + head.content_type;
    }
    void part_bytes(std::string_view bytes) override {
        require(open_ && !bytes.empty());
        text += bytes;
        taken += bytes.size();
    }
    void end_part() override {
        require(open_);
        open_ = false;
        text += "\5";
    }
    std::string text;
    std::size_t taken = 0;

private:
    bool open_ = false;
};

// The story, and whether the body was whole; bytes of a part that came before a refusal depend on
// the pieces.
std::string read(std::string_view body, std::size_t piece, bool& whole) {
    Story story;
    MultipartReader reader("B", story);
    whole = false;
    try {
        for (std::size_t at = 0; at < body.size(); at += piece) {
            reader.push(body.substr(at, piece));
        }
        reader.finish();
        whole = true;
    } catch (const larder::Error& error) {
        require(error.slug() == "invalid-multipart");
    }
    require(story.taken <= body.size());
    return story.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    bool whole = false, whole_in_pieces = false;
    const std::string story = read(body, body.size() + 1, whole);
    const std::string in_pieces = read(body, data[0] % 32U + 1, whole_in_pieces);
    require(whole == whole_in_pieces);
    if (whole) require(story == in_pieces);
    return 0;
}
