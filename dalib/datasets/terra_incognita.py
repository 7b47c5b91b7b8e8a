"""TerraIncognita: ten classes of animals before the camera traps of four places, as DomainBed cuts it."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="terra_incognita",
    title="TerraIncognita as in DomainBed: 10 classes, 4 places, 24 788 images",
    domains=("location_38", "location_43", "location_46", "location_100"),
    classes=(
        "bird",
        "bobcat",
        "cat",
        "coyote",
        "dog",
        "empty",
        "opossum",
        "rabbit",
        "raccoon",
        "squirrel",
    ),
    counts={"location_38": 9767, "location_43": 4020, "location_46": 6122, "location_100": 4879},
    editions={24330: "what DomainBed's script makes of today's archive; khanrc/miro, issue 9"},
    source="http://lila.science/datasets/caltech-camera-traps",
    licence="none stated where its address was read; see the source",
    paper="beery2018recognition",
    by_hand="its folders are cut out of Caltech Camera Traps (eccv_18_all_images_sm.tar.gz and annotations) by "
    "download_terra_incognita in facebookresearch/DomainBed, domainbed/scripts/download.py; run that",
)
