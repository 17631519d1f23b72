{% test share_between(model, column_name, least, most) %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} < {{ least }} or {{ column_name }} > {{ most }}

{% endtest %}
