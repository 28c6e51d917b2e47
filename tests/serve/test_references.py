"""Uploads are decoded with nothing but their own bytes: no file of the server's disk is opened because one names it."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import tifffile

from holotype.serve import Limits

XML = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="8" SizeC="{size}" '
    'SizeZ="1" SizeT="1">{channels}{planes}</Pixels></Image></OME>'
)
SECRET = 200


def naming(files, own=51):
    """An OME-TIFF of one plane whose XML names files, one a channel, the first of which may be itself."""
    channels = "".join(f'<Channel ID="Channel:0:{number}" SamplesPerPixel="1"/>' for number in range(len(files)))
    planes = "".join(
        f'<TiffData IFD="0" FirstC="{number}"><UUID FileName="{name}">urn:uuid:{number + 1}</UUID></TiffData>'
        for number, name in enumerate(files)
    )
    stream = io.BytesIO()
    description = XML.format(size=len(files), channels=channels, planes=planes)
    tifffile.imwrite(stream, np.full((8, 8), own, np.uint8), description=description, metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["absolute", "relative", "missing", "pipe", "text", "only"])
def test_a_file_that_an_upload_names_is_never_opened(ask, stand, png, tmp_path, kind):
    secret = tmp_path / "secret.tif"
    tifffile.imwrite(secret, np.full((8, 8), SECRET, np.uint8))
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "notes.txt").write_text("secret")
    names = {
        "absolute": ["cell.tif", str(secret)],
        "relative": ["cell.tif", "../" * 12 + str(secret)[1:]],
        "missing": ["cell.tif", "/no/such.tif"],
        "pipe": ["cell.tif", str(tmp_path / "pipe.tif")],
        "text": ["cell.tif", str(tmp_path / "notes.txt")],
        "only": [str(secret)],
    }[kind]
    with ask(stand, Limits(decoding=5.0)) as client:
        files = [("images", ("cell.tif", naming(names), "image/tiff"))]
        answer = client.post("/predict?picture=true", files=files)
        if answer.status_code == 200:  # its own pixels, and nothing else
            assert answer.json()["predictions"][0]["probabilities"]["bright"] == pytest.approx(51 / 255)
        else:
            assert answer.status_code == 422
            assert answer.json()["error"]["field"] == "cell.tif"
            assert "decoding the image took" not in answer.json()["error"]["what"]
            assert "secret.tif" not in answer.json()["error"]["what"] or "names" in answer.json()["error"]["what"]
        assert client.post("/predict", files=[("images", ("a.png", png()))]).status_code == 200
