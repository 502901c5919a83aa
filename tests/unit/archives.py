"""Files of torch.save, sound and lying ones."""

import io
import struct
import zipfile

import torch


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def zipped(files, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def archive_of(pickled, storage=b"\0" * 16, **options):
    return zipped({"m/data.pkl": pickled, "m/data/0": storage}, **options)


def tensor_pickle(shape=(2, 2), strides=(2, 1), offset=0, key="0", storage="torch FloatStorage"):
    """A pickle of one tensor in a dictionary, written by hand so that it can lie."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def integer(value):
        data = value.to_bytes(9, "little", signed=True)
        return b"\x8a\x09" + data

    def numbers(values):
        return b"(" + b"".join(integer(value) for value in values) + b"t"

    module, name = storage.split()
    persistent = (
        b"(" + text("storage") + f"c{module}\n{name}\n".encode() + text(key) + text("cpu")
        + integer(4) + b"tQ"
    )  # fmt: skip
    return (
        b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent
        + integer(offset) + numbers(shape) + numbers(strides) + b"\x89}tRs."
    )  # fmt: skip


LIES = {
    "larger than its storage": (tensor_pickle((2, 3), (3, 1)), "larger than what it stores"),
    "one number many times": (tensor_pickle((2**60,), (0,)), "larger than what it stores"),
    "beyond its storage": (tensor_pickle(offset=1), "larger than what it stores"),
    "far beyond": (tensor_pickle((2, 2), (2**62, 1)), "larger than what it stores"),
    "negative size": (tensor_pickle((-2, 2)), "damaged"),
    "negative offset": (tensor_pickle(offset=-1), "damaged"),
    "too many dimensions": (tensor_pickle((1,) * 40, (1,) * 40), "damaged"),
    "more sizes than strides": (tensor_pickle((2, 2), (1,)), "damaged"),
    "a storage that is not there": (tensor_pickle(key="7"), "damaged"),
    "a storage elsewhere": (tensor_pickle(key="../../etc/passwd"), "damaged"),
    "a storage of code": (tensor_pickle(storage="os system"), "'os.system'"),
    "a dtype as a storage": (tensor_pickle(storage="torch float8_e4m3fn"), "damaged"),
    "call without arguments": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "damaged"),
    "call of a number": (b"\x80\x02K\x01)R.", "damaged"),
    "dictionary with arguments": (b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.", "damaged"),
    "nothing on the stack": (b"\x80\x02s.", "damaged"),
    "no mark": (b"\x80\x02u.", "damaged"),
    "unknown memo": (b"\x80\x02h\x07.", "damaged"),
    "list as a key": (b"\x80\x02}]K\x01s.", "damaged"),
    "list as a dictionary": (b"\x80\x02]K\x01K\x02s.", "damaged"),
    "dictionary as a list": (b"\x80\x02}K\x01a.", "damaged"),
    "no end": (b"\x80\x02}", "damaged"),
    "no bytes": (b"", "damaged"),
    "build": (b"\x80\x02cos\nsystem\n", "'os.system'"),
    "inst": (b"\x80\x02(ios\nsystem\n.", "pickle operation INST"),
    "newobj": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "pickle operation NEWOBJ"),
    "stack global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "pickle operation"),
    "decimal": (b"\x80\x02L" + b"9" * 100_000 + b"L\n.", "pickle operation LONG"),
    "extension registry": (b"\x80\x02\x82\x01.", "pickle operation EXT1"),
    "not text": (b"\x80\x02X\x02\x00\x00\x00\xff\xff.", "damaged"),
    "text of 4 GB": (b"\x80\x02X\xff\xff\xff\xffab.", "damaged"),
}
