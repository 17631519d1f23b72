from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("metrics", "0003_datasets"),
    ]

    operations = [
        migrations.AddField(
            model_name="build",
            name="definition",
            field=models.JSONField(default=dict),
        ),
    ]
