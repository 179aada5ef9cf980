"""Revisions and sha256 of the published files of Geneformer."""

REVISION = "05fcbeb8a27d49e0a7a4349152202ee2c1cbfd28"
CHECKSUMS = {
    "Geneformer-V1-10M/config.json": "9cf69ca3bdb0215c4188b54c451b6f02adfe68b8f66011a57d0f32845133fd4b",
    "Geneformer-V1-10M/model.safetensors": "a5e33a757431643b3697de7ef6127950cdc49e06e58d4266b3a3ab191b683f14",
    "Geneformer-V2-104M/config.json": "467d4492f0dd53b4d60afffe20812db484ca1cf9fdbeb6a6e060e93564f70859",
    "Geneformer-V2-104M/model.safetensors": "fff5cba29ddd8792991fa77b4872246fbe548a178cebda3775cdc72b67780e7f",
    "Geneformer-V2-104M_CLcancer/config.json": "b3e1f3e71b1df7238f0f1d6dda258d560ea84e5e9698351a1588cfad06321e18",
    "Geneformer-V2-104M_CLcancer/model.safetensors": "827738139bfed4bafa9d1f3df7c6146da2e3b85f7225076adc32c6eda0ba4357",
    "Geneformer-V2-316M/config.json": "2cc4af3442644e84af71814a607b61c958d7b4e5ebde6791ab77b5f534ac6f6e",
    "Geneformer-V2-316M/model.safetensors": "965ceccea81953d362081ef3843560a0e4fef88d396c28017881f1e94b1246f3",
}
"""By the path in the place; the dictionaries follow below."""

REVISION_2024 = "31bf641d0f173a18a5e06d9a6574bb0d3fe5edc1"
"""The last commit with the checkpoints of 2021 and of April 2024 under their first names."""
CHECKSUMS |= {
    "gf-12L-30M-i2048/config.json": "a82b9cf2cb830be227bfbbe5a4c5d62723f49fac892ca37c541d0ef40a0e1de9",
    "gf-12L-30M-i2048/pytorch_model.bin": "812f8d85e5ecf9d64c268f052f6ece2c1906bc4f1aecf70d5144b2598386b615",
    "gf-12L-95M-i4096/config.json": "f56780389d8c89c1b6c4084e2e6ee1f736558e4b3bb8ce7473159e83465de401",
    "gf-12L-95M-i4096/model.safetensors": "4365ba23e393fcfa0e65a94ac64a0983cd788bd23a8d4914f4ab66f85cfe043c",
    "gf-12L-95M-i4096_CLcancer/config.json": "7d3720eb553238849f7b3b3fd874e2bafb59c97b0e70afd7ca90132c43b8d5b1",
    "gf-12L-95M-i4096_CLcancer/model.safetensors": "2451adeed240c165634fea60ccba17063da8a2843ea9fcdcc0ce185720bf0dc2",
    "gf-20L-95M-i4096/config.json": "915948b8161a15747647c9dd04d4bd3a950ca5fb145a14d9bc1157948a4cb9e7",
    "gf-20L-95M-i4096/model.safetensors": "db85c081a6d392448955c7d0185e26aba74507518df991ca8c69ee9108ce8bbf",
}
CHECKSUMS |= {
    f"geneformer/gene_dictionaries_30m/{kind}_gc30M.pkl": sha256
    for kind, sha256 in {
        "ensembl_mapping_dict": "eac0fb0b3007267871b6305ac0003ceba19d4f28d85686cb9067ecf142787869",
        "gene_median_dictionary": "b3b589bb5ec75040d05fc44dd6bf0184cf87f3c362cf158d196a6ed3b7fe5f39",
        "gene_name_id_dict": "55e67962e79c0039a6c32d43c5c99f38e51964bbcfa32f736150ee1e285c438c",
        "token_dictionary": "ab9dc40973fa5224d77b793e2fd114cacf3d08423ed9c4c49caf0ba9c7f218f1",
    }.items()
}
CHECKSUMS |= {
    f"geneformer/{kind}_{release}.pkl": sha256
    for release in ("gc95M", "gc104M")  # the same files
    for kind, sha256 in {
        "ensembl_mapping_dict": "0819bcbd869cfa14279449b037eb9ed1d09a91310e77bd1a19d927465030e95c",
        "gene_median_dictionary": "a51c53f6a771d64508dfaf61529df70e394c53bd20856926117ae5d641a24bf5",
        "gene_name_id_dict": "fabfa0c2f49c598c59ae432a32c3499a5908c033756c663b5e0cddf58deea8e1",
        "token_dictionary": "67c445f4385127adfc48dcc072320cd65d6822829bf27dd38070e6e787bc597f",
    }.items()
}
